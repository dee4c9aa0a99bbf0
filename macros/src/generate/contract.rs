//! The contract of a service, as the code that makes it.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{GenericArgument, Ident, PathArguments, Type};

use super::local;
use crate::model::argument::Argument;
use crate::model::method::Method;
use crate::model::options::Options;
use crate::model::service::Service;

/// The body of `contract`.
pub(super) fn of(service: &Service) -> TokenStream {
    let Options { namespace, version, ignores_unknown, core } = &service.options;
    let (core, version) = (quote!(#core::expansion::contract), &version.literal);
    let namespace = namespace.as_ref().map_or_else(
        || quote!(::core::option::Option::None),
        |namespace| quote!(::core::option::Option::Some(#namespace)),
    );
    let methods = local("methods", &service.interface.ident);
    let entries = service.methods.iter().map(|method| of_method(method, &methods, &service.options));
    quote! {
        #[allow(unused_imports)]
        use #core::{Listed as _, Unlisted as _};
        #[allow(unused_mut)]
        let mut #methods = ::std::collections::BTreeMap::new();
        #(#entries)*
        #core::contract(#namespace, #version, #ignores_unknown, #methods)
    }
}

fn of_method(method: &Method, methods: &Ident, options: &Options) -> TokenStream {
    let Method { name, is_cast, since, output, .. } = method;
    let (core, signature) = {
        let core = &options.core;
        (quote!(#core::expansion::contract), quote!(#core::expansion::signature))
    };
    let (conditions, since, returns) = (method.conditions(), &since.literal, text(value_of(output)));
    let arguments = method.arguments.iter().map(|argument| of_argument(argument, method, options));
    quote! {
        #(#conditions)*
        #methods.insert(#core::text(#name), #core::MethodEntry {
            since: #core::text(#since),
            cast: #is_cast,
            arguments: #core::arguments([#(#arguments),*]),
            returns: #core::text(#returns),
            raises: (&#core::Classes::<<#output as #signature::MethodResult>::Error>::new()).classes(),
        });
    }
}

fn of_argument(argument: &Argument, method: &Method, options: &Options) -> TokenStream {
    let Argument { ident, ty, serde, wire_names, .. } = argument;
    let core = &options.core;
    let serde_path = quote!(#core::expansion::serde);
    let serde_text = text(&serde_path);
    let core = quote!(#core::expansion::contract);
    let since = argument.since.as_ref().unwrap_or(&method.since);
    let (since, type_text, name) = (&since.literal, text(ty), &wire_names[0]);
    let (required, aliases) = (argument.default.is_none(), &wire_names[1..]);
    let default = if required {
        quote!(::core::option::Option::None)
    } else {
        let default = argument.default_function();
        // With the user's attributes, since they decide how it stands in a request.
        quote!({
            #[derive(#serde_path::Serialize, #serde_path::Deserialize)]
            #[serde(crate = #serde_text)]
            struct __Default { #(#serde)* #ident: #ty }
            #core::default_of(&__Default { #ident: #default() })
        })
    };
    quote!((#core::text(#name), #core::ArgumentEntry {
        ty: #core::text(#type_text),
        since: #core::text(#since),
        required: #required,
        default: #default,
        aliases: ::std::vec![#(#core::text(#aliases)),*],
    }))
}

/// The type that a caller gets, where it can be seen: an alias of `Result` hides it.
fn value_of(output: &Type) -> &Type {
    let Type::Path(path) = output else { return output };
    let Some(last) = path.path.segments.last().filter(|last| last.ident == "Result") else { return output };
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return output };
    match arguments.args.first() {
        Some(GenericArgument::Type(value)) => value,
        _ => output,
    }
}

/// `tokens` as one writes them: with a space only between two words.
fn text(tokens: &impl ToTokens) -> String {
    let spaced = tokens.to_token_stream().to_string();
    let is_word = |letter: Option<char>| letter.is_some_and(|letter| letter.is_alphanumeric() || letter == '_');
    let mut text = String::with_capacity(spaced.len());
    for part in spaced.split_whitespace() {
        if text.ends_with(',') || (is_word(text.chars().last()) && is_word(part.chars().next())) {
            text.push(' ');
        }
        text.push_str(part);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_written_as_its_author_writes_it() {
        for ty in ["Option<Vec<u8>>", "std::collections::HashMap<String, u64>", "Box<dyn Send>", "[u8;4]", "(u8, u16)"]
        {
            assert_eq!(text(&syn::parse_str::<syn::Type>(ty).unwrap()), ty);
        }
    }
}
