//! An error type whose values are Python exceptions.

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::meta::ParseNestedMeta;
use syn::spanned::Spanned;
use syn::{Attribute, Data, DeriveInput, Error, Field, Fields, Ident, LitStr, Path, Result, Type};

use super::all;

/// A type with one exception for itself, or for each of its variants.
pub(crate) struct Exception {
    pub(crate) ident: Ident,
    pub(crate) core: Path,
    pub(crate) shapes: Vec<Shape>,
}

/// One exception.
pub(crate) struct Shape {
    /// `None`: the type is a struct.
    pub(crate) variant: Option<Ident>,
    pub(crate) module: LitStr,
    pub(crate) class: LitStr,
    /// `None`: what a field or `Display` says.
    pub(crate) message: Option<LitStr>,
    pub(crate) is_expected: bool,
    pub(crate) members: Vec<Member>,
    /// Whether its fields have names.
    pub(crate) is_named: bool,
}

/// A field of the exception.
pub(crate) struct Member {
    /// The name of the field, or `_0` of the first one without.
    pub(crate) binding: Ident,
    pub(crate) ty: Type,
    pub(crate) part: Part,
}

/// Where a field travels.
pub(crate) enum Part {
    /// By position.
    Argument,
    /// By this name.
    Keyword(LitStr),
    /// As the text of the exception.
    Message,
}

/// What `#[exception(..)]` says of a type or a variant.
#[derive(Default, Clone)]
struct Marks {
    module: Option<LitStr>,
    class: Option<LitStr>,
    message: Option<LitStr>,
    is_expected: bool,
    core: Option<Path>,
}

impl Exception {
    /// Reads the type behind `#[derive(Exception)]`.
    ///
    /// # Errors
    /// If it does not say how it travels.
    pub(crate) fn read(input: &DeriveInput) -> Result<Self> {
        if let Some(parameter) = input.generics.params.first() {
            let message = "an exception has no generics, since the caller rebuilds it from its name: name the types";
            return Err(Error::new(parameter.span(), message));
        }
        let marks = Marks::default().and(&input.attrs)?;
        let shapes = match &input.data {
            Data::Struct(data) => vec![Shape::read(None, &input.ident, &data.fields, marks.clone())?],
            Data::Enum(data) => {
                if let Some(class) = &marks.class {
                    let message = "each variant is a class of its own: write `class` on the variants";
                    return Err(Error::new(class.span(), message));
                }
                let shapes = data.variants.iter().map(|variant| {
                    let marks = marks.clone().and(&variant.attrs)?;
                    Shape::read(Some(variant.ident.clone()), &variant.ident, &variant.fields, marks)
                });
                all(shapes)?
            }
            Data::Union(data) => {
                return Err(Error::new(data.union_token.span, "an exception is a struct or an enum"));
            }
        };
        let core = marks.core.unwrap_or_else(|| syn::parse_quote!(::oslo_messaging));
        Ok(Self { ident: input.ident.clone(), core, shapes })
    }
}

impl Shape {
    fn read(variant: Option<Ident>, ident: &Ident, fields: &Fields, marks: Marks) -> Result<Self> {
        let module = marks.module.ok_or_else(|| {
            let message = "a Python class is in a module: add `#[exception(module = \"..\")]`";
            Error::new(ident.span(), message)
        })?;
        let members = all(fields.iter().enumerate().map(|(index, field)| Member::read(index, field)))?;
        let texts: Vec<_> = members.iter().filter(|member| matches!(member.part, Part::Message)).collect();
        if let (Some(message), false) = (&marks.message, texts.is_empty()) {
            let text = "a field is the message already: remove one of both";
            return Err(Error::new(message.span(), text));
        }
        if let [_, second, ..] = texts.as_slice() {
            return Err(Error::new(second.binding.span(), "an exception has one message: this is the second"));
        }
        Ok(Self {
            variant,
            module,
            class: marks.class.unwrap_or_else(|| LitStr::new(&ident.unraw().to_string(), ident.span())),
            message: marks.message.map(|message| named_positions(&message)),
            is_expected: marks.is_expected,
            members,
            is_named: matches!(fields, Fields::Named(_)),
        })
    }
}

impl Member {
    fn read(index: usize, field: &Field) -> Result<Self> {
        let binding = field.ident.clone().unwrap_or_else(|| Ident::new(&format!("_{index}"), field.ty.span()));
        let mut part = match &field.ident {
            Some(ident) => Part::Keyword(LitStr::new(&ident.unraw().to_string(), ident.span())),
            None => Part::Argument,
        };
        for attribute in field.attrs.iter().filter(|attribute| attribute.path().is_ident("exception")) {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("arg") {
                    part = Part::Argument;
                } else if meta.path.is_ident("kwarg") {
                    part = Part::Keyword(meta.value()?.parse()?);
                } else if meta.path.is_ident("message") {
                    part = Part::Message;
                } else {
                    return Err(meta.error("unknown option: a field is an `arg`, a `kwarg = \"..\"` or the `message`"));
                }
                Ok(())
            })?;
        }
        Ok(Self { binding, ty: field.ty.clone(), part })
    }
}

impl Marks {
    /// These, and what `attributes` say instead.
    fn and(mut self, attributes: &[Attribute]) -> Result<Self> {
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("exception")) {
            attribute.parse_nested_meta(|meta| self.take(&meta))?;
        }
        Ok(self)
    }

    fn take(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        let value = || meta.value()?.parse::<LitStr>();
        if meta.path.is_ident("module") {
            self.module = Some(value()?);
        } else if meta.path.is_ident("class") {
            self.class = Some(value()?);
        } else if meta.path.is_ident("message") {
            self.message = Some(value()?);
        } else if meta.path.is_ident("expected") {
            self.is_expected = true;
        } else if meta.path.is_ident("crate") {
            self.core = Some(value()?.parse()?);
        } else {
            let known = "unknown option: there are `module`, `class`, `message`, `expected` and `crate`";
            return Err(meta.error(known));
        }
        Ok(())
    }
}

/// `{0}` as `{_0}`, which is the name of the binding of a field without one.
fn named_positions(message: &LitStr) -> LitStr {
    let (text, span): (String, Span) = (message.value(), message.span());
    let mut named = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        named.push(letter);
        if letter != '{' {
            continue;
        }
        match letters.peek() {
            // An escaped brace, which opens nothing.
            Some('{') => named.extend(letters.next()),
            Some(next) if next.is_ascii_digit() => named.push('_'),
            _ => {}
        }
    }
    LitStr::new(&named, span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_the_name_of_its_binding_and_an_escaped_brace_is_none() {
        for (written, named) in [("{0} of {1:?}", "{_0} of {_1:?}"), ("{{0}} {item}", "{{0}} {item}"), ("{", "{")] {
            assert_eq!(named_positions(&LitStr::new(written, Span::call_site())).value(), named);
        }
    }
}
