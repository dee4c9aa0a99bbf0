//! The macros of `oslo-messaging`, which exports them with its default feature `macros`. Use them from there.
//!
//! A macro reads what the user wrote into a `model`, which refuses what cannot be called with a message that names the
//! remedy. `generate` makes code of the model. What can be a function is one in `oslo_messaging::expansion`.

mod generate;
mod model;

use proc_macro::TokenStream;
use syn::{DeriveInput, Error};

use self::model::endpoint::Endpoint;
use self::model::exception::Exception;
use self::model::marks;
use self::model::service::Service;

/// Makes a trait the interface of a service: with a client, and an endpoint for each implementation.
///
/// The trait stays what was written, but for its futures, which are `Send`: an `impl` says `async fn`, and the trait can
/// be a bound or be mocked. Such a trait is not `dyn` compatible. Beside it stand two types, here of a trait `Compute`:
///
/// - `ComputeClient` calls the methods. It has the settings of `RpcClient` under the same names, each as a changed copy;
///   `rpc()` is the `RpcClient` below it, and `can_reboot()` says whether the version cap permits `reboot`.
/// - `ComputeEndpoint` makes an implementation an endpoint of a server, which may have several.
///   `Endpoint::from` gives its table of methods. `ComputeEndpoint::contract()` is what callers rely on; a test compares it
///   with a committed file by `Contract::check_file`, which names the version that a change needs.
///
/// ```
/// use std::time::Duration;
///
/// use oslo_messaging::{Bus, Context, Deadline, Failure, RpcServer, Target, service};
/// use oslo_messaging_fake::FakeBroker;
///
/// #[service(namespace = "base", version = "1.2")]
/// trait Compute {
///     async fn reboot(
///         &self,
///         context: Context,
///         id: u64,
///         #[serde(default)]
///         #[rpc(since = "1.2")]
///         hard: bool,
///     ) -> Result<String, Failure>;
/// }
///
/// struct Host;
///
/// impl Compute for Host {
///     async fn reboot(&self, _: Context, id: u64, hard: bool) -> Result<String, Failure> {
///         Ok(format!("{} reboot of {id}", if hard { "hard" } else { "soft" }))
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> oslo_messaging::Result<()> {
/// let bus = Bus::new(FakeBroker::new().transport());
/// let soon = Deadline::after(Duration::from_secs(5));
/// let target = Target::topic("compute").server("host-1");
/// let server = RpcServer::builder(&bus, target).endpoint(ComputeEndpoint::new(Host)).start(soon).await?;
///
/// let compute = ComputeClient::new(&bus, Target::topic("compute")).version_cap("1.1");
/// assert_eq!(compute.reboot(&Context::new(), 7, false).await?, "soft reboot of 7");
/// assert!(compute.reboot(&Context::new(), 7, true).await.is_err(), "`hard` is over the cap");
/// server.shutdown(soon).await
/// # }
/// ```
///
/// # The trait
/// | option | default | effect |
/// |---|---|---|
/// | `namespace = ".."` | none | of all methods |
/// | `version = ".."` | `"1.0"` | of the interface, `major.minor`: a server serves it and every lower minor |
/// | `unknown = "ignore"` | refused | a server ignores arguments that it does not know; Python raises `TypeError` for them |
/// | `crate = ".."` | `::oslo_messaging` | where core is |
///
/// # A method
/// `async fn name(&self, context: Context, ..) -> Result<T, E>`, without generics or a body. `T` is written and read with
/// serde. `E` is an `Exception` that can be made of a `RemoteError`, as the derived ones can; also `Failure`, `Internal` or
/// `Infallible`. The client returns `Result<T, CallError<E>>`.
///
/// | `#[rpc(..)]` | effect |
/// |---|---|
/// | `cast` | callers wait for no answer; the method returns `Result<(), E>`, and the client `Result<(), Error>` |
/// | `since = ".."` | the version that the method came with. Default: the first of its major |
/// | `name = ".."` | its name on the wire, where the client has a method of that name |
///
/// # An argument
/// An argument travels under its name. Of serde it takes `default`, `rename`, `alias`, `with`, `serialize_with` and
/// `deserialize_with`.
///
/// | `#[rpc(..)]` | effect |
/// |---|---|
/// | `since = ".."` | the version that the argument came with. It needs a default and `PartialEq`, and is left out while it equals the default |
/// | `below = "drop"` | where the version cap is below `since`, the argument is dropped, counted in `oslo_messaging_arguments_dropped_total` and logged once for each method. Default: the call fails with `VersionCap` |
///
/// A call carries the lowest version that has the method and every argument that is not its default. So a server that is
/// older serves each call that it can serve.
#[proc_macro_attribute]
pub fn service(options: TokenStream, item: TokenStream) -> TokenStream {
    match Service::read(options.into(), item.clone().into()) {
        Ok(service) => generate::service(&service).into(),
        Err(error) => refused(&error, item),
    }
}

/// Makes the marked methods of a type an endpoint, for a server without a shared trait.
///
/// It writes `From<Host> for Endpoint<Host>`, so that a server takes the value as it is. Options of the `impl`, of methods
/// (`#[rpc]`) and of arguments are those of `service`. Methods without `#[rpc]` cannot be called by a request.
///
/// ```
/// use oslo_messaging::{Context, Endpoint, Internal};
///
/// struct Host;
///
/// #[oslo_messaging::endpoint(version = "1.1")]
/// impl Host {
///     #[rpc]
///     async fn size(&self, _: Context, path: String) -> Result<u64, Internal> {
///         Ok(std::fs::metadata(path)?.len())
///     }
/// }
///
/// let endpoint = Endpoint::from(Host).namespace("files");
/// # drop(endpoint);
/// ```
#[proc_macro_attribute]
pub fn endpoint(options: TokenStream, item: TokenStream) -> TokenStream {
    match Endpoint::read(options.into(), item.clone().into()) {
        Ok(endpoint) => generate::endpoint(&endpoint).into(),
        Err(error) => refused(&error, item),
    }
}

/// Makes a struct, or each variant of an enum, a Python exception, both ways.
///
/// It implements `Exception`, and `TryFrom<&RemoteError>` for callers. An exception of another class, or whose arguments do
/// not fit, is an error of the kind `Decode`.
///
/// ```
/// use oslo_messaging::{Exception, RemoteError};
///
/// #[derive(Debug, PartialEq, Exception)]
/// #[exception(module = "shop.errors")]
/// enum Refused {
///     #[exception(message = "no {item} left", expected)]
///     OutOfStock { item: String },
///     #[exception(module = "builtins", class = "ValueError")]
///     Value(#[exception(message)] String),
/// }
///
/// let failure = Refused::OutOfStock { item: "pear".to_owned() }.failure();
/// assert_eq!(failure.to_string(), "shop.errors.OutOfStock: no pear left");
/// let remote = RemoteError::from(failure);
/// assert_eq!(Refused::try_from(&remote).unwrap(), Refused::OutOfStock { item: "pear".to_owned() });
/// ```
///
/// | `#[exception(..)]` on the type or a variant | effect |
/// |---|---|
/// | `module = ".."` | the Python module of the class; needed |
/// | `class = ".."` | the class. Default: the name of the struct or the variant |
/// | `message = ".."` | what the exception says, as a format string over the fields. Default: what `Display` writes |
/// | `expected` | a server logs the failure at the level DEBUG, as part of the method's contract |
/// | `crate = ".."` | where core is, on the type. Default: `::oslo_messaging` |
///
/// | `#[exception(..)]` on a field | where it travels |
/// |---|---|
/// | `arg` | by position; the default of a field without a name |
/// | `kwarg = ".."` | by that name; the default of a field with a name is its own |
/// | `message` | as the message, for a type that is made of `&str` |
///
/// Without fields by position, the message is the one argument, as of a Python class with `Exception.__init__(message)`.
#[proc_macro_derive(Exception, attributes(exception))]
pub fn exception(item: TokenStream) -> TokenStream {
    let input = syn::parse_macro_input!(item as DeriveInput);
    match Exception::read(&input) {
        Ok(exception) => generate::exception(&exception).into(),
        Err(error) => error.into_compile_error().into(),
    }
}

/// The error beside what was written.
fn refused(error: &Error, item: TokenStream) -> TokenStream {
    let mut tokens = TokenStream::from(error.to_compile_error());
    tokens.extend(TokenStream::from(marks::without(item.into())));
    tokens
}
