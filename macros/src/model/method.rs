//! One method: its name on the wire, its arguments, and since when it is there.

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::meta::ParseNestedMeta;
use syn::spanned::Spanned;
use syn::{Attribute, Error, FnArg, Ident, LitStr, Meta, Result, ReturnType, Signature, Type};

use super::all;
use super::argument::{self, Argument};
use super::options::Options;
use super::version::Version;

/// The error of a method without an argument for the context.
const NO_CONTEXT: &str = "an RPC method takes the context of its caller first: write `(&self, context: Context, ..)`";
/// The error of a method with another receiver.
const RECEIVER: &str =
    "an RPC method takes `&self`, since requests run at the same time: keep what changes behind a lock";

/// A method that callers can run.
pub(crate) struct Method {
    pub(crate) ident: Ident,
    /// Its name on the wire.
    pub(crate) name: LitStr,
    /// Whether its callers wait for no answer.
    pub(crate) is_cast: bool,
    /// The version of the interface that it came with.
    pub(crate) since: Version,
    /// Without ours.
    pub(crate) attributes: Vec<Attribute>,
    /// The name and the type of the first argument.
    pub(crate) context: (Ident, Type),
    pub(crate) arguments: Vec<Argument>,
    /// What it returns, before it is made a future.
    pub(crate) output: Type,
}

/// What `#[rpc(..)]` says of a method.
#[derive(Default)]
struct Marks {
    name: Option<LitStr>,
    since: Option<Version>,
    is_cast: bool,
}

impl Method {
    /// Reads a method, and takes our attributes off it and its arguments.
    ///
    /// # Errors
    /// If a caller could not run it.
    pub(crate) fn read(attributes: &mut Vec<Attribute>, signature: &mut Signature, options: &Options) -> Result<Self> {
        check_shape(signature)?;
        let marks = Marks::take(attributes)?;
        let since = marks.since.unwrap_or_else(|| options.version.first());
        since.check_since(&options.version)?;
        let mut parameters = signature.inputs.iter_mut();
        let is_shared = |parameter: &FnArg| match parameter {
            FnArg::Receiver(receiver) => {
                receiver.colon_token.is_none() && receiver.mutability.is_none() && receiver.reference.is_some()
            }
            FnArg::Typed(_) => false,
        };
        match parameters.next() {
            Some(receiver) if is_shared(receiver) => {}
            Some(other) => return Err(Error::new(other.span(), RECEIVER)),
            None => return Err(Error::new(signature.ident.span(), RECEIVER)),
        }
        let context = parameters.next().ok_or_else(|| Error::new(signature.ident.span(), NO_CONTEXT))?;
        let context = (context_name(context), context_type(context)?);
        let arguments = all(parameters.map(|parameter| Argument::read(parameter, options, &since)))?;
        argument::check_distinct(&arguments)?;
        let name = LitStr::new(&signature.ident.unraw().to_string(), signature.ident.span());
        Ok(Self {
            ident: signature.ident.clone(),
            name: marks.name.unwrap_or(name),
            is_cast: marks.is_cast,
            since,
            attributes: attributes.clone(),
            context,
            arguments,
            output: output(signature)?,
        })
    }

    /// The attributes that decide whether the method is there at all.
    pub(crate) fn conditions(&self) -> impl Iterator<Item = &Attribute> {
        self.attributes.iter().filter(|attribute| attribute.path().is_ident("cfg"))
    }

    /// The attributes that the method of the client has too.
    pub(crate) fn described(&self) -> impl Iterator<Item = &Attribute> {
        let kept = ["doc", "deprecated", "cfg"];
        self.attributes.iter().filter(move |attribute| kept.into_iter().any(|name| attribute.path().is_ident(name)))
    }
}

impl Marks {
    /// Takes `#[rpc(..)]` out of `attributes`.
    fn take(attributes: &mut Vec<Attribute>) -> Result<Self> {
        let mut marks = Self::default();
        for attribute in std::mem::take(attributes) {
            if !attribute.path().is_ident("rpc") {
                attributes.push(attribute);
            } else if !matches!(attribute.meta, Meta::Path(_)) {
                attribute.parse_nested_meta(|meta| marks.read(&meta))?;
            }
        }
        Ok(marks)
    }

    fn read(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        if meta.path.is_ident("cast") {
            self.is_cast = true;
        } else if meta.path.is_ident("since") {
            self.since = Some(Version::read(meta.value()?.parse()?)?);
        } else if meta.path.is_ident("name") {
            self.name = Some(meta.value()?.parse()?);
        } else {
            return Err(meta.error("unknown option: a method has `cast`, `since = \"..\"` and `name = \"..\"`"));
        }
        Ok(())
    }
}

/// The name of the first argument; one that the method does not use has none.
fn context_name(parameter: &FnArg) -> Ident {
    argument::named(parameter).map_or_else(|_| Ident::new("context", Span::mixed_site()), |(name, _)| name)
}

fn context_type(parameter: &FnArg) -> Result<Type> {
    match parameter {
        FnArg::Typed(parameter) => Ok((*parameter.ty).clone()),
        FnArg::Receiver(receiver) => Err(Error::new(receiver.span(), RECEIVER)),
    }
}

/// Checks that no two methods have one name on the wire.
pub(crate) fn check_distinct(methods: &[Method]) -> Result<()> {
    for (index, method) in methods.iter().enumerate() {
        // Under conditions both need not be there at once.
        let same = |other: &&Method| other.name.value() == method.name.value() && other.conditions().next().is_none();
        if method.conditions().next().is_none() && methods[..index].iter().find(same).is_some() {
            let message = format!(
                "two methods are `{}` on the wire: give one of them another with `#[rpc(name = \"..\")]`",
                method.name.value()
            );
            return Err(Error::new(method.name.span(), message));
        }
    }
    Ok(())
}

/// Checks what needs no knowledge of the arguments.
fn check_shape(signature: &Signature) -> Result<()> {
    let refused = |span: Span, message: &str| Err(Error::new(span, message));
    if signature.asyncness.is_none() {
        return refused(signature.fn_token.span, "an RPC method is async: write `async fn`");
    }
    if let Some(parameter) = signature.generics.params.first() {
        return refused(
            parameter.span(),
            "an RPC method has no generics, since a request names no types: write one method for each type, or take \
             `serde_json::Value`",
        );
    }
    Ok(())
}

/// The type that is returned.
fn output(signature: &Signature) -> Result<Type> {
    match &signature.output {
        ReturnType::Type(_, ty) => Ok((**ty).clone()),
        ReturnType::Default => Err(Error::new(
            signature.ident.span(),
            "an RPC method returns a `Result`: write `-> Result<(), std::convert::Infallible>` if it cannot fail",
        )),
    }
}
