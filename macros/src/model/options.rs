//! The arguments of `#[service(..)]` and `#[endpoint(..)]`.

use proc_macro2::{Span, TokenStream};
use syn::meta::ParseNestedMeta;
use syn::parse::Parser;
use syn::{Error, LitStr, Path, Result};

use super::version::Version;

/// What applies to all methods of an interface.
pub(crate) struct Options {
    /// `None`: endpoints without a namespace.
    pub(crate) namespace: Option<LitStr>,
    pub(crate) version: Version,
    /// Whether a server ignores arguments that it does not know.
    pub(crate) ignores_unknown: bool,
    /// Where core is: `::oslo_messaging` unless its user renamed it.
    pub(crate) core: Path,
}

impl Options {
    /// Reads the tokens between the parentheses.
    ///
    /// # Errors
    /// If an option is unknown or has a value that it cannot have.
    pub(crate) fn read(tokens: TokenStream) -> Result<Self> {
        let mut options = Self {
            namespace: None,
            version: Version::read(LitStr::new("1.0", Span::call_site()))?,
            ignores_unknown: false,
            core: syn::parse_quote!(::oslo_messaging),
        };
        syn::meta::parser(|meta| options.take(&meta)).parse2(tokens)?;
        Ok(options)
    }

    fn take(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        let value = || meta.value()?.parse::<LitStr>();
        if meta.path.is_ident("namespace") {
            self.namespace = Some(value()?);
        } else if meta.path.is_ident("version") {
            self.version = Version::read(value()?)?;
        } else if meta.path.is_ident("unknown") {
            let value = value()?;
            if value.value() != "ignore" {
                return Err(Error::new(value.span(), "write `unknown = \"ignore\"`, or leave it out to refuse them"));
            }
            self.ignores_unknown = true;
        } else if meta.path.is_ident("crate") {
            self.core = value()?.parse()?;
        } else {
            return Err(meta.error("unknown option: there are `namespace`, `version`, `unknown` and `crate`"));
        }
        Ok(())
    }
}
