//! Code from a model. Nothing here refuses what the user wrote.
//!
//! The visible types stand beside the trait. What they need stands in an anonymous constant, so that no name of ours is
//! in the way of the user's.

mod arguments;
mod client;
mod contract;
mod endpoint;
mod exception;
mod interface;
mod signature;

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::spanned::Spanned;
use syn::{Ident, Path};

use self::arguments::Direction;
use crate::model::endpoint::Endpoint;
use crate::model::exception::Exception;
use crate::model::service::Service;

/// The trait, its client and its endpoint.
pub(crate) fn service(service: &Service) -> TokenStream {
    let interface = interface::of(service);
    let (client, endpoint) = (client::declaration(service), endpoint::declaration(service));
    let hidden = hidden(&[
        signature::of_service(service),
        arguments::of(&service.methods, &service.options, Direction::Both),
        client::implementation(service),
        endpoint::of_service(service),
    ]);
    quote!(#interface #client #endpoint #hidden)
}

/// The `impl` as it was written, and the conversion of its type into a table of methods.
pub(crate) fn endpoint(endpoint: &Endpoint) -> TokenStream {
    let implementation = &endpoint.implementation;
    let hidden = hidden(&[
        signature::of_endpoint(endpoint),
        arguments::of(&endpoint.methods, &endpoint.options, Direction::Received),
        endpoint::of_type(endpoint),
    ]);
    quote!(#implementation #hidden)
}

/// Both ways between a value and a Python exception.
pub(crate) fn exception(exception: &Exception) -> TokenStream {
    hidden(&[exception::of(exception)])
}

/// Where `token` stands, for code of ours that the compiler may refuse because of it.
///
/// It stays code of a macro, in which lints find nothing.
fn place_of(token: &impl Spanned) -> Span {
    Span::call_site().located_at(token.span())
}

/// A local or parameter of the generated code, which hides nothing that the user named, and is hidden by nothing.
/// It stands where `token` does, because the compiler may show it.
fn local(name: &str, token: &impl Spanned) -> Ident {
    Ident::new(name, Span::mixed_site().located_at(token.span()))
}

/// The path of core with `place` as the place of each of its tokens: the compiler shows the first token of a path.
fn core_at(core: &Path, place: Span) -> TokenStream {
    let at = |mut token: TokenTree| {
        token.set_span(place);
        token
    };
    core.to_token_stream().into_iter().map(at).collect()
}

/// Puts `items` where they have no name.
fn hidden(items: &[TokenStream]) -> TokenStream {
    // The user's lints are for the user's code; what is refused there would name code that nobody sees.
    quote! {
        #[allow(dead_code, deprecated, unused_qualifications, unused_variables)]
        #[allow(clippy::complexity, clippy::pedantic, clippy::style)]
        const _: () = { #(#items)* };
    }
}
