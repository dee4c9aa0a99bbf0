//! What is left of an item when it was refused.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::{Attribute, FnArg, ImplItem, Item, Signature, TraitItem, parse_quote};

/// `item` without the attributes that only our macros know.
///
/// Emitted beside an error, so that the compiler does not also report every use of the item. What cannot be parsed is
/// left out: the compiler would report it once more.
pub(crate) fn without(item: TokenStream) -> TokenStream {
    let Ok(mut item) = syn::parse2::<Item>(item) else { return TokenStream::new() };
    match &mut item {
        Item::Trait(interface) => {
            // The futures that the macro would have written have no such lint.
            interface.attrs.push(parse_quote!(#[allow(async_fn_in_trait)]));
            for item in &mut interface.items {
                if let TraitItem::Fn(function) = item {
                    strip(&mut function.attrs, &mut function.sig);
                }
            }
        }
        Item::Impl(implementation) => {
            for item in &mut implementation.items {
                if let ImplItem::Fn(function) = item {
                    strip(&mut function.attrs, &mut function.sig);
                }
            }
        }
        _ => {}
    }
    item.into_token_stream()
}

fn strip(attributes: &mut Vec<Attribute>, signature: &mut Signature) {
    attributes.retain(|attribute| !attribute.path().is_ident("rpc"));
    for parameter in &mut signature.inputs {
        if let FnArg::Typed(parameter) = parameter {
            parameter.attrs.clear();
        }
    }
}
