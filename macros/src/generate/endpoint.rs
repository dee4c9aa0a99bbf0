//! The table of methods that a server is given.

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::Ident;

use super::{arguments, contract, place_of};
use crate::model::endpoint::Endpoint;
use crate::model::method::Method;
use crate::model::options::Options;
use crate::model::service::Service;

/// The type that makes the table of an implementation, beside the trait.
pub(super) fn declaration(service: &Service) -> TokenStream {
    let (name, core, visibility) = (name(service), &service.options.core, &service.interface.vis);
    let documents = service.interface.attrs.iter().filter(|attribute| attribute.path().is_ident("doc"));
    let first = format!("The endpoint of an implementation of [`{}`].", service.interface.ident);
    quote! {
        #[doc = #first]
        ///
        /// A server takes it as it is; `Endpoint::from` makes the table of methods of it.
        ///
        #(#documents)*
        #[allow(dead_code)]
        #visibility struct #name<S> { endpoint: #core::Endpoint<S> }
    }
}

/// What makes and what takes the endpoint of a service.
pub(super) fn of_service(service: &Service) -> TokenStream {
    let (name, interface, core) = (name(service), &service.interface.ident, &service.options.core);
    let (visibility, contract) = (&service.interface.vis, contract::of(service));
    let table = table(&service.methods, &service.options, &interface.to_token_stream(), &quote!(S));
    quote! {
        impl<S: #interface + ::core::marker::Send + ::core::marker::Sync + 'static> #name<S> {
            /// The endpoint of `host`.
            #[must_use]
            #visibility fn new(host: S) -> Self {
                Self::shared(::std::sync::Arc::new(host))
            }

            /// The endpoint of a host that others hold too.
            #[must_use]
            #visibility fn shared(host: ::std::sync::Arc<S>) -> Self {
                let endpoint = #core::Endpoint::shared(host);
                #table
                Self { endpoint }
            }
        }

        impl #name<()> {
            /// What callers of the service rely on, for a test that compares it with a committed file.
            #[must_use]
            #visibility fn contract() -> #core::rpc::Contract {
                #contract
            }
        }

        impl<S> ::core::convert::From<#name<S>> for #core::Endpoint<S> {
            fn from(service: #name<S>) -> Self {
                service.endpoint
            }
        }

        impl<S> ::core::fmt::Debug for #name<S> {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                ::core::fmt::Debug::fmt(&self.endpoint, f)
            }
        }
    }
}

/// The conversion of a type whose methods are marked.
pub(super) fn of_type(endpoint: &Endpoint) -> TokenStream {
    let (host, core) = (&endpoint.implementation.self_ty, &endpoint.options.core);
    let (generics, _, conditions) = endpoint.implementation.generics.split_for_impl();
    let table = table(&endpoint.methods, &endpoint.options, &quote!(<#host>), &host.to_token_stream());
    quote! {
        impl #generics ::core::convert::From<#host> for #core::Endpoint<#host> #conditions {
            fn from(host: #host) -> Self {
                let endpoint = Self::new(host);
                #table
                endpoint
            }
        }
    }
}

/// Statements that fill `endpoint`; `owner` has the methods, and `host` is the type of the state.
fn table(methods: &[Method], options: &Options, owner: &TokenStream, host: &TokenStream) -> TokenStream {
    let (core, version) = (&options.core, &options.version.literal);
    let namespace = options.namespace.as_ref().map(|namespace| quote!(.namespace(#namespace)));
    let entries = methods.iter().map(|method| {
        let (conditions, name, ident) = (method.conditions(), &method.name, &method.ident);
        let (arguments, context) = (arguments::name(method), &method.context.1);
        let values = method.arguments.iter().map(|argument| &argument.ident);
        let run = quote_spanned!(place_of(context)=> #owner::#ident(&*host, context, #(arguments.#values),*).await);
        let context = quote_spanned!(place_of(context)=> #core::Context);
        // In the place of what it returns, which is what the table may refuse.
        quote_spanned! {place_of(&method.output)=>
            #(#conditions)*
            let endpoint = endpoint.method(
                #name,
                |host: ::std::sync::Arc<#host>, context: #context, arguments: #arguments| async move { #run },
            );
        }
    });
    quote!(let endpoint = endpoint #namespace .version(#version); #(#entries)*)
}

fn name(service: &Service) -> Ident {
    format_ident!("{}Endpoint", service.interface.ident)
}
