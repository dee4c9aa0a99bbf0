//! Assertions that the compiler checks in the place of the user's types.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};

use super::place_of;
use crate::model::argument::Argument;
use crate::model::endpoint::Endpoint;
use crate::model::method::Method;
use crate::model::options::Options;
use crate::model::service::Service;

/// Those of a service: its results are read by the client too.
pub(super) fn of_service(service: &Service) -> TokenStream {
    let checks = service.methods.iter().map(|method| {
        let arguments = method.arguments.iter().filter(|argument| !argument.is_converted);
        let core = &service.options.core;
        let arguments = arguments
            .map(|Argument { ty, .. }| quote_spanned!(place_of(ty)=> #core::expansion::signature::argument::<#ty>();));
        of_method(method, &service.options, &quote!(result), &quote!(#(#arguments)*))
    });
    quote!(#(#checks)*)
}

/// Those of an endpoint, whose results are only written.
pub(super) fn of_endpoint(endpoint: &Endpoint) -> TokenStream {
    // With generics of the `impl` the types have no meaning outside; the table of methods checks them there.
    if !endpoint.implementation.generics.params.is_empty() {
        return TokenStream::new();
    }
    let checks = endpoint
        .methods
        .iter()
        .map(|method| of_method(method, &endpoint.options, &quote!(answer), &TokenStream::new()));
    quote!(#(#checks)*)
}

/// The assertions of one method: `result` is the name of that of its result, and `arguments` are those of its arguments.
fn of_method(method: &Method, options: &Options, result: &TokenStream, arguments: &TokenStream) -> TokenStream {
    let core = &options.core;
    let signature = quote!(#core::expansion::signature);
    let (conditions, context, output) = (method.conditions(), &method.context.1, &method.output);
    let context = quote_spanned!(place_of(context)=> #signature::context::<#context>());
    let result = quote_spanned!(place_of(output)=> #signature::#result::<#output>());
    let cast = method.is_cast.then(|| quote_spanned!(place_of(output)=> #signature::cast::<#output>();));
    quote!(#(#conditions)* const _: () = { #context; #arguments #result; #cast };)
}
