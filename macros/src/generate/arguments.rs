//! The arguments of a method as a struct, which is written to a request and read from it.

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::Ident;
use syn::ext::IdentExt;

use super::{local, place_of};
use crate::model::argument::Argument;
use crate::model::method::Method;
use crate::model::options::Options;

/// Who needs the arguments.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// A client and a server.
    Both,
    /// A server alone.
    Received,
}

/// The struct of each method.
pub(super) fn of(methods: &[Method], options: &Options, direction: Direction) -> TokenStream {
    methods
        .iter()
        .map(|method| {
            let (declaration, functions) = (declaration(method, options, direction), functions(method, options));
            let functions = (direction == Direction::Both).then_some(functions);
            quote!(#declaration #functions)
        })
        .collect()
}

/// The name of the struct: `__RebootArguments` of `reboot`, which hides no type of the user.
pub(super) fn name(method: &Method) -> Ident {
    let method_name = method.ident.unraw().to_string();
    let words = method_name.split('_').map(|word| {
        let mut letters = word.chars();
        letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
    });
    format_ident!("__{}Arguments", words.collect::<String>(), span = method.ident.span())
}

/// Whether an argument can be over the version cap and is dropped then.
pub(super) fn can_drop(method: &Method) -> bool {
    method.arguments.iter().any(|argument| argument.is_dropped)
}

fn declaration(method: &Method, options: &Options, direction: Direction) -> TokenStream {
    let (name, conditions, core) = (name(method), method.conditions(), &options.core);
    let serde = quote!(#core::expansion::serde);
    let serde_path = serde.to_string().replace(' ', "");
    let refusal = (!options.ignores_unknown).then(|| quote!(#[serde(deny_unknown_fields)]));
    let fields = method.arguments.iter().map(|argument| field(&name, argument, direction));
    let serialize = (direction == Direction::Both).then(|| quote!(#serde::Serialize,));
    let derive = quote_spanned!(place_of(&method.ident)=> #[derive(#serialize #serde::Deserialize)]);
    quote! {
        #(#conditions)*
        #derive
        #[serde(crate = #serde_path)]
        #refusal
        struct #name { #(#fields),* }
    }
}

fn field(name: &Ident, argument: &Argument, direction: Direction) -> TokenStream {
    let Argument { ident, ty, serde, .. } = argument;
    let left_out = (argument.since.is_some() && direction == Direction::Both).then(|| {
        let is_default = format!("{name}::{}", is_default(argument));
        quote!(#[serde(skip_serializing_if = #is_default)])
    });
    quote!(#(#serde)* #left_out #ident: #ty)
}

/// What a client asks of the arguments: which version they need, and to drop what is over the cap.
fn functions(method: &Method, options: &Options) -> TokenStream {
    let (name, conditions, core) = (name(method), method.conditions(), &options.core);
    let optional = method.arguments.iter().filter(|argument| argument.since.is_some());
    let comparisons = optional.map(|argument| {
        let (function, ty, default) = (is_default(argument), &argument.ty, argument.default_function());
        let value = local("value", ty);
        let compared = quote_spanned!(place_of(ty)=> #core::expansion::optional::is_default::<#ty>(#value, #default));
        quote! {
            /// Whether a server takes the same for the argument if it is left out.
            fn #function(#value: &#ty) -> bool { #compared }
        }
    });
    let (version, dropped) = (version(method), can_drop(method).then(|| drop_over_cap(method, options)));
    quote!(#(#conditions)* impl #name { #(#comparisons)* #version #dropped })
}

/// The lowest version that has the method and every argument that is sent: the newest argument decides.
fn version(method: &Method) -> TokenStream {
    let lowest = &method.since.literal;
    let mut optional: Vec<_> =
        method.arguments.iter().filter_map(|argument| Some((argument, argument.since.as_ref()?))).collect();
    optional.sort_by_key(|(_, since)| std::cmp::Reverse(since.minor));
    let steps = optional.iter().map(|(argument, since)| {
        let (ident, is_default, since) = (&argument.ident, is_default(argument), &since.literal);
        quote!(if !Self::#is_default(&self.#ident) { return #since; })
    });
    quote! {
        /// The lowest version that has the method and every argument that is not its default.
        fn version(&self) -> &'static str { #(#steps)* #lowest }
    }
}

fn drop_over_cap(method: &Method, options: &Options) -> TokenStream {
    let (core, name, client) = (&options.core, &method.name, local("client", &method.ident));
    let dropped = method.arguments.iter().filter(|argument| argument.is_dropped).map(|argument| {
        let (ident, wire_name, default) = (&argument.ident, &argument.wire_names[0], argument.default_function());
        let since = argument.since.as_ref().map(|since| since.literal.to_token_stream());
        quote!(DROPPED.drop_over_cap(#client, #wire_name, #since, &mut self.#ident, #default);)
    });
    quote! {
        /// Puts the default in the place of each argument that is over the version cap and may be dropped.
        fn drop_over_cap(&mut self, #client: &#core::RpcClient) {
            static DROPPED: #core::expansion::optional::DroppedArguments =
                #core::expansion::optional::DroppedArguments::new(#name);
            #(#dropped)*
        }
    }
}

fn is_default(argument: &Argument) -> Ident {
    format_ident!("{}_is_default", argument.ident.unraw())
}
