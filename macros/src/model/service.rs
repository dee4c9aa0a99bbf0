//! A trait that is the interface of a service.

use proc_macro2::TokenStream;
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Error, Item, ItemTrait, Result, TraitItem, TraitItemFn};

use super::all;
use super::method::{self, Method};
use super::options::Options;

/// What a client has beside the methods of its service.
const OF_THE_CLIENT: [&str; 21] = [
    "new",
    "rpc",
    "clone",
    "prepare",
    "target",
    "topic",
    "exchange",
    "without_exchange",
    "server",
    "without_server",
    "fanout",
    "without_fanout",
    "timeout",
    "monitor",
    "without_monitor",
    "version_cap",
    "without_version_cap",
    "mandatory",
    "retry",
    "serializer",
    "into",
];

/// A service: what its author wrote, and what that means.
pub(crate) struct Service {
    pub(crate) options: Options,
    /// The trait without our attributes; its methods are still `async`.
    pub(crate) interface: ItemTrait,
    /// In the order of the trait.
    pub(crate) methods: Vec<Method>,
}

impl Service {
    /// Reads the trait behind `#[service(..)]`.
    ///
    /// # Errors
    /// If it is none, or is not one that both a client and a server can have.
    pub(crate) fn read(options: TokenStream, item: TokenStream) -> Result<Self> {
        let options = Options::read(options)?;
        let mut interface = match syn::parse2::<Item>(item)? {
            Item::Trait(interface) => interface,
            other => {
                let message = "`service` is written on a trait; for the methods of one type there is `endpoint`, on its \
                    `impl`";
                return Err(Error::new(other.span(), message));
            }
        };
        if let Some(parameter) = interface.generics.params.first() {
            let message = "a service has no generics, since a request names no types: write a trait for each type";
            return Err(Error::new(parameter.span(), message));
        }
        let methods = all(interface.items.iter_mut().map(|item| read_method(item, &options)))?;
        method::check_distinct(&methods)?;
        Ok(Self { options, interface, methods })
    }
}

fn read_method(item: &mut TraitItem, options: &Options) -> Result<Method> {
    let function = match item {
        TraitItem::Fn(function) => function,
        TraitItem::Type(ty) => {
            let message = "a service has no associated types, since its client does not know the server: name the type";
            return Err(Error::new(ty.ident.span(), message));
        }
        other => return Err(Error::new(other.span(), "a service has methods alone: move this out of the trait")),
    };
    refuse_body(function)?;
    let method = Method::read(&mut function.attrs, &mut function.sig, options)?;
    let ident = method.ident.unraw().to_string();
    if OF_THE_CLIENT.contains(&ident.as_str()) || ident.starts_with("can_") {
        let message = format!(
            "the client has a method `{ident}` of its own: rename this one and keep the wire name with `#[rpc(name = \
             \"{}\")]`",
            method.name.value()
        );
        return Err(Error::new(method.ident.span(), message));
    }
    Ok(method)
}

fn refuse_body(function: &TraitItemFn) -> Result<()> {
    let Some(body) = &function.default else { return Ok(()) };
    let message = "a method of a service has no default body, since a client could not tell whether a server has its \
        own: move it into the `impl`";
    Err(Error::new(body.span(), message))
}
