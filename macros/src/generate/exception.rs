//! Both ways of an exception: what a caller gets of a value, and the value of what a server sent.

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::Ident;

use super::{local, place_of};
use crate::model::exception::{Exception, Member, Part, Shape};

/// The implementations of both.
pub(super) fn of(exception: &Exception) -> TokenStream {
    let (ident, core) = (&exception.ident, &exception.core);
    let serde = quote!(#core::expansion::serde).to_string().replace(' ', "");
    let keywords = exception.shapes.iter().enumerate().map(|(index, shape)| keywords(index, shape, exception, &serde));
    let failures = exception.shapes.iter().enumerate().map(|(index, shape)| failure(index, shape, exception));
    let classes = exception.shapes.iter().map(|shape| format!("{}.{}", shape.module.value(), shape.class.value()));
    let values = exception.shapes.iter().enumerate().map(|(index, shape)| value(index, shape));
    let remote = local("remote", ident);
    let checks = exception.shapes.iter().flat_map(|shape| &shape.members).filter_map(|Member { ty, part, .. }| {
        let check = quote_spanned!(place_of(ty)=> #core::expansion::signature::argument::<#ty>());
        (!matches!(part, Part::Message)).then(|| quote!(const _: () = #check;))
    });
    quote! {
        #(#checks)*
        #(#keywords)*

        impl #core::Exception for #ident {
            fn failure(&self) -> #core::Failure {
                match self { #(#failures)* }
            }
        }

        impl #core::expansion::contract::ExceptionClasses for #ident {
            const CLASSES: &'static [&'static str] = &[#(#classes),*];
        }

        /// The value of an exception of this class; an error of the kind `Decode` for any other.
        impl ::core::convert::TryFrom<&#core::RemoteError> for #ident {
            type Error = #core::Error;

            fn try_from(#remote: &#core::RemoteError) -> ::core::result::Result<Self, #core::Error> {
                match (#remote.module(), #remote.class()) {
                    #(#values)*
                    _ => ::core::result::Result::Err(#core::expansion::another_class(#remote)),
                }
            }
        }
    }
}

/// What travels by name: a struct to write, and one to read.
fn keywords(index: usize, shape: &Shape, exception: &Exception, serde_path: &str) -> TokenStream {
    let core = &exception.core;
    let serde = quote!(#core::expansion::serde);
    let (written, read) = (written(index), read(index));
    let fields: Vec<_> = named(shape).collect();
    let bindings: Vec<_> = fields.iter().map(|(member, _)| &member.binding).collect();
    let types: Vec<_> = fields.iter().map(|(member, _)| &member.ty).collect();
    let names: Vec<_> = fields.iter().map(|(_, name)| name).collect();
    if fields.is_empty() {
        return TokenStream::new();
    }
    let place = place_of(&exception.ident);
    let serialize = quote_spanned!(place=> #[derive(#serde::Serialize)]);
    let deserialize = quote_spanned!(place=> #[derive(#serde::Deserialize)]);
    quote! {
        #serialize
        #[serde(crate = #serde_path)]
        struct #written<'a> { #(#[serde(rename = #names)] #bindings: &'a #types),* }

        #deserialize
        #[serde(crate = #serde_path)]
        struct #read { #(#[serde(rename = #names)] #bindings: #types),* }
    }
}

/// One arm: the failure of a value.
fn failure(index: usize, shape: &Shape, exception: &Exception) -> TokenStream {
    let core = &exception.core;
    let (pattern, module, class, message) = (pattern(shape), &shape.module, &shape.class, message(shape, exception));
    let positional: Vec<_> = positional(shape).map(|member| &member.binding).collect();
    let arguments = (!positional.is_empty()).then(|| quote!(.with_args((#(#positional,)*))));
    let named: Vec<_> = named(shape).map(|(member, _)| &member.binding).collect();
    let written = written(index);
    let keywords = (!named.is_empty()).then(|| quote!(.with_kwargs(#written { #(#named),* })));
    let expected = shape.is_expected.then(|| quote!(.expected()));
    quote!(#pattern => #core::Failure::new(#module, #class, #message) #arguments #keywords #expected,)
}

/// One arm: the value of an exception.
fn value(index: usize, shape: &Shape) -> TokenStream {
    let (module, class, pattern, remote) =
        (&shape.module, &shape.class, pattern(shape), local("remote", &shape.module));
    let positional: Vec<_> = positional(shape).map(|member| &member.binding).collect();
    let arguments = (!positional.is_empty()).then(|| quote!(let (#(#positional,)*) = #remote.args().decode()?;));
    let named: Vec<_> = named(shape).map(|(member, _)| &member.binding).collect();
    let read = read(index);
    let keywords = (!named.is_empty()).then(|| quote!(let #read { #(#named),* } = #remote.kwargs().decode()?;));
    let texts = shape.members.iter().filter(|member| matches!(member.part, Part::Message));
    let texts = texts.map(|Member { binding, ty, .. }| {
        quote_spanned!(place_of(binding)=> let #binding = <#ty as ::core::convert::From<&str>>::from(#remote.message());)
    });
    quote! {
        (#module, #class) => {
            #arguments
            #keywords
            #(#texts)*
            ::core::result::Result::Ok(#pattern)
        }
    }
}

/// What the exception says.
fn message(shape: &Shape, exception: &Exception) -> TokenStream {
    let text = shape.members.iter().find(|member| matches!(member.part, Part::Message));
    match (&shape.message, text) {
        (Some(message), _) => quote!(::std::format!(#message)),
        (None, Some(member)) => {
            let binding = &member.binding;
            quote_spanned!(place_of(binding)=> ::std::string::ToString::to_string(#binding))
        }
        (None, None) => {
            let (core, ident) = (&exception.core, &exception.ident);
            quote_spanned!(place_of(ident)=> #core::expansion::signature::message::<#ident>(self))
        }
    }
}

/// The fields by their bindings, to take a value apart and to make one.
fn pattern(shape: &Shape) -> TokenStream {
    let name = shape.variant.as_ref().map_or_else(|| quote!(Self), |variant| quote!(Self::#variant));
    let bindings = shape.members.iter().map(|member| &member.binding);
    match (shape.is_named, shape.members.is_empty()) {
        (true, _) => quote!(#name { #(#bindings),* }),
        (false, false) => quote!(#name(#(#bindings),*)),
        (false, true) => name.to_token_stream(),
    }
}

fn positional(shape: &Shape) -> impl Iterator<Item = &Member> {
    shape.members.iter().filter(|member| matches!(member.part, Part::Argument))
}

fn named(shape: &Shape) -> impl Iterator<Item = (&Member, &syn::LitStr)> {
    shape.members.iter().filter_map(|member| match &member.part {
        Part::Keyword(name) => Some((member, name)),
        Part::Argument | Part::Message => None,
    })
}

fn written(index: usize) -> Ident {
    format_ident!("__Written{index}")
}

fn read(index: usize) -> Ident {
    format_ident!("__Read{index}")
}
