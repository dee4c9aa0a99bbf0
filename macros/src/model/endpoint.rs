//! An `impl` whose marked methods are those of an endpoint.

use proc_macro2::TokenStream;
use syn::spanned::Spanned;
use syn::{Error, ImplItem, Item, ItemImpl, Result};

use super::all;
use super::method::{self, Method};
use super::options::Options;

/// The methods of one type, without a trait.
pub(crate) struct Endpoint {
    pub(crate) options: Options,
    /// The block without our attributes.
    pub(crate) implementation: ItemImpl,
    /// Those that are marked.
    pub(crate) methods: Vec<Method>,
}

impl Endpoint {
    /// Reads the `impl` behind `#[endpoint(..)]`.
    ///
    /// # Errors
    /// If it is none of a type, or a marked method is not one that a caller could run.
    pub(crate) fn read(options: TokenStream, item: TokenStream) -> Result<Self> {
        let options = Options::read(options)?;
        let mut implementation = match syn::parse2::<Item>(item)? {
            Item::Impl(implementation) => implementation,
            other => {
                let message = "`endpoint` is written on the `impl` of a type; for a trait there is `service`";
                return Err(Error::new(other.span(), message));
            }
        };
        if let Some((_, of_trait, _)) = &implementation.trait_ {
            let message = "`endpoint` is for methods of the type itself; put `service` on the trait, and implement it as \
                it is";
            return Err(Error::new(of_trait.span(), message));
        }
        let methods = implementation.items.iter_mut().filter_map(|item| match item {
            ImplItem::Fn(function) if function.attrs.iter().any(|attribute| attribute.path().is_ident("rpc")) => {
                Some(Method::read(&mut function.attrs, &mut function.sig, &options))
            }
            _ => None,
        });
        let methods = all(methods)?;
        method::check_distinct(&methods)?;
        if methods.is_empty() {
            let message = "no method is marked: write `#[rpc]` on those that callers can run";
            return Err(Error::new(implementation.self_ty.span(), message));
        }
        Ok(Self { options, implementation, methods })
    }
}
