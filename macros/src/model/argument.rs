//! One argument of a method: its type, its name on the wire, and since when it is there.

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::meta::ParseNestedMeta;
use syn::spanned::Spanned;
use syn::{Attribute, Error, ExprPath, FnArg, Ident, LitStr, Pat, Result, Type};

use super::options::Options;
use super::version::Version;

/// Names that a Python caller cannot pass: its client has parameters of these names, or its method.
const RESERVED: [&str; 4] = ["self", "context", "ctxt", "method"];

/// What a value is serialized with is the user's; these have no meaning for an argument.
const REFUSED: &str = "an argument takes of serde `default`, `rename`, `alias`, `with`, `serialize_with` and \
    `deserialize_with`";

/// An argument behind the context.
pub(crate) struct Argument {
    pub(crate) ident: Ident,
    pub(crate) ty: Type,
    /// The serde attributes, as they were written.
    pub(crate) serde: Vec<Attribute>,
    /// What a server takes for it if a caller leaves it out.
    pub(crate) default: Option<Default>,
    /// The version of the interface that it came with; `None`: as old as its method.
    pub(crate) since: Option<Version>,
    /// Whether it is left out where the version cap is below `since`.
    pub(crate) is_dropped: bool,
    /// Whether functions of the user write or read it, so that its type need not be able to.
    pub(crate) is_converted: bool,
    /// The name, then the aliases, with the tokens that say so.
    pub(crate) wire_names: Vec<LitStr>,
}

/// The default of an argument.
pub(crate) enum Default {
    /// That of its type.
    OfType,
    /// What the function returns.
    Function(ExprPath),
}

/// The name and the type of a parameter, without its attributes.
pub(crate) fn named(parameter: &FnArg) -> Result<(Ident, Type)> {
    let FnArg::Typed(parameter) = parameter else {
        return Err(Error::new(parameter.span(), "`self` comes first"));
    };
    match &*parameter.pat {
        Pat::Ident(name) if name.by_ref.is_none() && name.subpat.is_none() => {
            Ok((name.ident.clone(), (*parameter.ty).clone()))
        }
        pattern => Err(Error::new(pattern.span(), "give the argument a name: callers pass it by this name")),
    }
}

impl Argument {
    /// Reads `parameter` and takes our attributes and those of serde off it.
    ///
    /// # Errors
    /// If it is none that callers can pass by name, or an attribute has no meaning here.
    pub(crate) fn read(parameter: &mut FnArg, options: &Options, method_since: &Version) -> Result<Self> {
        let (ident, ty) = named(parameter)?;
        refuse_borrowed(&ty)?;
        let FnArg::Typed(parameter) = parameter else { unreachable!("it has a name") };
        let name = LitStr::new(&ident.unraw().to_string(), ident.span());
        let mut argument = Self {
            ident,
            ty,
            serde: Vec::new(),
            default: None,
            since: None,
            is_dropped: false,
            is_converted: false,
            wire_names: vec![name],
        };
        for attribute in std::mem::take(&mut parameter.attrs) {
            argument.take(attribute)?;
        }
        argument.check_names()?;
        argument.check_since(options, method_since)?;
        Ok(argument)
    }

    /// The default as a function without arguments.
    pub(crate) fn default_function(&self) -> TokenStream {
        match &self.default {
            Some(Default::Function(path)) => path.to_token_stream(),
            Some(Default::OfType) | None => quote::quote!(::core::default::Default::default),
        }
    }

    fn take(&mut self, attribute: Attribute) -> Result<()> {
        if attribute.path().is_ident("rpc") {
            return attribute.parse_nested_meta(|meta| self.take_ours(&meta));
        }
        if attribute.path().is_ident("serde") {
            attribute.parse_nested_meta(|meta| self.take_serde(&meta))?;
            self.serde.push(attribute);
            return Ok(());
        }
        Err(Error::new(attribute.span(), "an argument takes the attributes `rpc` and `serde` alone"))
    }

    fn take_ours(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        if meta.path.is_ident("since") {
            self.since = Some(Version::read(meta.value()?.parse()?)?);
        } else if meta.path.is_ident("below") {
            let value: LitStr = meta.value()?.parse()?;
            if value.value() != "drop" {
                return Err(Error::new(value.span(), "write `below = \"drop\"`, or leave it out to fail the call"));
            }
            self.is_dropped = true;
        } else {
            return Err(meta.error("unknown option: an argument has `since = \"..\"` and `below = \"drop\"`"));
        }
        Ok(())
    }

    fn take_serde(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        let is = |name| meta.path.is_ident(name);
        if is("default") {
            self.default = Some(if meta.input.peek(syn::Token![=]) {
                Default::Function(meta.value()?.parse::<LitStr>()?.parse()?)
            } else {
                Default::OfType
            });
        } else if is("rename") {
            if !meta.input.peek(syn::Token![=]) {
                return Err(meta.error("an argument has one name in both directions: write `rename = \"..\"`"));
            }
            self.wire_names[0] = meta.value()?.parse()?;
        } else if is("alias") {
            self.wire_names.push(meta.value()?.parse()?);
        } else if is("with") || is("serialize_with") || is("deserialize_with") {
            meta.value()?.parse::<LitStr>()?;
            self.is_converted = true;
        } else if is("flatten") {
            return Err(meta.error(
                "`flatten` hides the names of arguments from the contract: list the arguments, or take the struct as \
                 one argument",
            ));
        } else if ["skip", "skip_serializing", "skip_deserializing", "skip_serializing_if"].into_iter().any(is) {
            return Err(meta.error(
                "an argument is never skipped: remove it, or give it `#[serde(default)]` and `#[rpc(since = \"..\")]` \
                 to leave it out while it is the default",
            ));
        } else {
            return Err(meta.error(REFUSED));
        }
        Ok(())
    }

    fn check_names(&self) -> Result<()> {
        for name in &self.wire_names {
            if RESERVED.contains(&name.value().as_str()) {
                let message = format!(
                    "no Python caller can pass an argument of the name `{}`: choose another, or `#[serde(rename = \
                     \"..\")]` it",
                    name.value()
                );
                return Err(Error::new(name.span(), message));
            }
        }
        Ok(())
    }

    fn check_since(&self, options: &Options, method_since: &Version) -> Result<()> {
        let Some(since) = &self.since else {
            let message = "`below = \"drop\"` needs to know below which version: add `since = \"..\"`";
            return if self.is_dropped { Err(Error::new(self.ident.span(), message)) } else { Ok(()) };
        };
        since.check_since(&options.version)?;
        if since.minor <= method_since.minor {
            let message = format!(
                "the method itself is there since {}: remove the `since` of the argument",
                method_since.literal.value()
            );
            return Err(Error::new(since.literal.span(), message));
        }
        if self.default.is_none() {
            let message = "callers below `since` do not send the argument, so it needs a default: add \
                `#[serde(default)]` or `#[serde(default = \"..\")]`";
            return Err(Error::new(self.ident.span(), message));
        }
        Ok(())
    }
}

/// Checks that no two arguments of one method have a name in common.
pub(crate) fn check_distinct(arguments: &[Argument]) -> Result<()> {
    let mut seen: Vec<String> = Vec::new();
    for name in arguments.iter().flat_map(|argument| &argument.wire_names) {
        if seen.contains(&name.value()) {
            let message = format!("two arguments are `{}` on the wire: rename one of them", name.value());
            return Err(Error::new(name.span(), message));
        }
        seen.push(name.value());
    }
    Ok(())
}

/// A request is decoded before the method runs, and its text is gone by then.
fn refuse_borrowed(ty: &Type) -> Result<()> {
    let refused = |span: Span, message| Err(Error::new(span, message));
    match ty {
        Type::Reference(_) => {
            refused(ty.span(), "an argument is owned: write `String` for `&str`, `Vec<T>` for `&[T]`")
        }
        Type::ImplTrait(_) => refused(ty.span(), "an argument has one type on the wire: name the type"),
        _ => Ok(()),
    }
}
