//! The client of a service: one method for each of the trait, and the settings of the client below.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::Ident;
use syn::ext::IdentExt;

use super::{arguments, core_at, place_of};
use crate::model::method::Method;
use crate::model::service::Service;

/// The type, beside the trait.
pub(super) fn declaration(service: &Service) -> TokenStream {
    let (name, core, visibility) = (name(service), &service.options.core, &service.interface.vis);
    let documents = service.interface.attrs.iter().filter(|attribute| attribute.path().is_ident("doc"));
    let first = format!("The client of [`{}`].", service.interface.ident);
    quote! {
        #[doc = #first]
        ///
        /// Every setting returns a changed copy and leaves this client as it is. Cheap to clone.
        ///
        #(#documents)*
        #[derive(::core::clone::Clone, ::core::fmt::Debug)]
        #[allow(dead_code)]
        #visibility struct #name { rpc: #core::RpcClient }
    }
}

/// Its methods.
pub(super) fn implementation(service: &Service) -> TokenStream {
    let (name, settings) = (name(service), settings(service));
    let methods = service.methods.iter().map(|method| of_method(method, service));
    let questions = service.methods.iter().map(|method| question(method, service));
    quote!(impl #name { #settings #(#methods)* #(#questions)* })
}

fn name(service: &Service) -> Ident {
    format_ident!("{}Client", service.interface.ident)
}

/// One method, which takes the arguments of the trait and the context by reference.
fn of_method(method: &Method, service: &Service) -> TokenStream {
    let visibility = &service.interface.vis;
    // In the place of what it returns, so that a wrong type is shown there and not at the attribute.
    let core = core_at(&service.options.core, place_of(&method.output));
    let (described, ident, context) = (method.described(), &method.ident, &method.context.0);
    let (name, output, arguments) = (&method.name, &method.output, arguments::name(method));
    let idents: Vec<_> = method.arguments.iter().map(|argument| &argument.ident).collect();
    let types = method.arguments.iter().map(|argument| &argument.ty);
    let namespace = service.options.namespace.as_ref();
    let namespace = namespace.map_or_else(
        || quote!(::core::option::Option::None),
        |namespace| quote!(::core::option::Option::Some(#namespace)),
    );
    // Not `local`: the compiler would show an error of the type once for the place and once for the macro.
    let [request, call] = ["__request", "__call"].map(|name| Ident::new(name, place_of(output)));
    let (mutable, dropped) = if arguments::can_drop(method) {
        (Some(quote!(mut)), Some(quote_spanned!(place_of(output)=> #request.drop_over_cap(&self.rpc);)))
    } else {
        (None, None)
    };
    let (returned, send) = if method.is_cast {
        (quote!(::core::result::Result<(), #core::Error>), quote!(cast))
    } else {
        let returned = quote_spanned!(place_of(output)=> #core::expansion::signature::CallResult<#output>);
        (returned, quote_spanned!(place_of(output)=> call::<#output>))
    };
    let (first, outcome) = (first_line(method), outcome(method));
    let body = quote_spanned! {place_of(output)=>
        let #mutable #request = #arguments { #(#idents),* };
        #dropped
        let #call = #core::expansion::ServiceCall {
            context: #context,
            namespace: #namespace,
            version: #request.version(),
            method: #name,
        };
        #call.#send(&self.rpc, &#request).await
    };
    let method = quote_spanned! {place_of(output)=>
        #visibility async fn #ident(&self, #context: &#core::Context, #(#idents: #types),*) -> #returned { #body }
    };
    quote!(#first #(#described)* #outcome #method)
}

/// What stands in for documentation that the method does not have.
fn first_line(method: &Method) -> Option<TokenStream> {
    let is_documented = method.attributes.iter().any(|attribute| attribute.path().is_ident("doc"));
    let first = format!("Sends a request for `{}`.", method.name.value());
    (!is_documented).then(|| quote!(#[doc = #first]))
}

/// Whether the version cap permits a method.
fn question(method: &Method, service: &Service) -> TokenStream {
    let visibility = &service.interface.vis;
    let (conditions, since) = (method.conditions(), &method.since.literal);
    let ident = format_ident!("can_{}", method.ident.unraw());
    let first = format!(
        "Whether the version cap permits [`{0}`](Self::{0}), with its optional arguments left out.",
        method.ident.unraw()
    );
    quote! {
        #(#conditions)*
        #[doc = #first]
        ///
        /// False also for a cap that is not `major.minor`, since no call passes it.
        #[must_use]
        #visibility fn #ident(&self) -> bool {
            self.rpc.can_send_version(::core::option::Option::Some(#since)).unwrap_or(false)
        }
    }
}

/// What the documentation of every method ends with.
fn outcome(method: &Method) -> TokenStream {
    let (errors, cancellation) = if method.is_cast {
        ("As `RpcClient::cast_at`.", "As `RpcClient::cast`.")
    } else {
        (
            "`CallError::Method` with the error of the method, and `CallError::Bus` with what `RpcClient::call_at` \
             reports.",
            "As `RpcClient::call`.",
        )
    };
    quote! {
        ///
        /// # Errors
        #[doc = #errors]
        ///
        /// # Cancellation
        #[doc = #cancellation]
    }
}

/// The settings of the client below, under the same names.
fn settings(service: &Service) -> TokenStream {
    let (core, visibility) = (&service.options.core, &service.interface.vis);
    let text = || quote!(impl ::core::convert::Into<::std::string::String>);
    let duration = || quote!(::core::time::Duration);
    let setting = |name: &str, argument: Option<(&str, TokenStream)>, effect: &str| {
        let ident = format_ident!("{name}");
        let (parameter, ty) = argument.map(|(parameter, ty)| (format_ident!("{parameter}"), ty)).unzip();
        let parameter_list = ty.map(|ty| quote!(, #parameter: #ty));
        let link = format!("{effect}: `RpcClient::{name}`.");
        quote! {
            #[doc = #link]
            #[must_use]
            #visibility fn #ident(&self #parameter_list) -> Self {
                Self { rpc: ::core::clone::Clone::clone(&self.rpc).#ident(#parameter) }
            }
        }
    };
    let settings = [
        setting("topic", Some(("topic", text())), "Sends to `topic`"),
        setting("exchange", Some(("exchange", text())), "Sends through `exchange`"),
        setting("without_exchange", None, "Sends through the exchange of the bus"),
        setting("server", Some(("server", text())), "Sends to one server by name"),
        setting("without_server", None, "Sends to any server of the topic"),
        setting("fanout", None, "Sends to every server of the topic; only casts can"),
        setting("without_fanout", None, "Sends to one server, not to every one"),
        setting("timeout", Some(("timeout", duration())), "How long one call or cast may take in all"),
        setting("monitor", Some(("interval", duration())), "Fails a call when its server is silent for `interval`"),
        setting("without_monitor", None, "Calls without monitoring"),
        setting("version_cap", Some(("version", text())), "Refuses what a server of `version` could not serve"),
        setting("without_version_cap", None, "Sends requests of any version"),
        setting(
            "mandatory",
            Some(("mandatory", quote!(bool))),
            "Whether a message that no queue is bound for is an error",
        ),
        setting("retry", Some(("retry", quote!(#core::Retry))), "How often a publish is tried again"),
        setting("serializer", Some(("serializer", quote!(impl #core::Serializer))), "Translates arguments and results"),
    ];
    quote! {
        /// A client of `target`, which has no namespace and no version: each method has its own.
        ///
        /// Nothing is sent, and no target refused, before the first message.
        #[must_use]
        #visibility fn new(bus: &#core::Bus, target: #core::Target) -> Self {
            Self { rpc: #core::RpcClient::new(bus, target) }
        }

        /// The client below, for what no method of the trait is.
        #[must_use]
        #visibility fn rpc(&self) -> &#core::RpcClient {
            &self.rpc
        }

        /// A copy to change for one message.
        #[must_use]
        #visibility fn prepare(&self) -> Self {
            ::core::clone::Clone::clone(self)
        }

        /// The target as it is now.
        #[must_use]
        #visibility fn target(&self) -> &#core::Target {
            self.rpc.target()
        }

        /// Whether a message of `version` is within the version cap: `RpcClient::can_send_version`.
        ///
        /// # Errors
        /// `InvalidTarget` if `version`, or the cap, is not `major.minor`.
        #visibility fn can_send_version(&self, version: ::core::option::Option<&str>) -> #core::Result<bool> {
            self.rpc.can_send_version(version)
        }

        #(#settings)*
    }
}
