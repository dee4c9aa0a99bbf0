//! The trait as it is implemented: what was written, with futures that can be sent between threads.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote_spanned};
use syn::{TraitItem, parse_quote};

use super::place_of;
use crate::model::service::Service;

/// The trait of `service`. An `impl` of it still says `async fn`.
pub(super) fn of(service: &Service) -> TokenStream {
    let mut interface = service.interface.clone();
    for item in &mut interface.items {
        let TraitItem::Fn(function) = item else { continue };
        function.sig.asyncness = None;
        let output = match &function.sig.output {
            syn::ReturnType::Type(_, ty) => ty.clone(),
            syn::ReturnType::Default => continue,
        };
        let future =
            quote_spanned!(place_of(&output)=> -> impl ::core::future::Future<Output = #output> + ::core::marker::Send);
        function.sig.output = syn::parse2(future).expect("an arrow and a type are what a function returns");
        // Its arguments are the fields of a request, of which there may be many.
        function.attrs.push(parse_quote!(#[allow(clippy::too_many_arguments)]));
    }
    interface.into_token_stream()
}
