//! Errors of a method, from the handler to the typed caller.

use std::convert::Infallible;
use std::fmt;

use oslo_messaging::{CallError, Context, Exception, Executed, Failure, RemoteError, Target};

use crate::fleet::Fleet;

#[derive(Debug, Clone, PartialEq, Exception)]
#[exception(module = "shop.errors", message = "no {item} left", expected)]
pub(crate) struct OutOfStock {
    item: String,
    #[exception(kwarg = "shelf_number")]
    shelf: u32,
}

#[derive(Debug, Clone, PartialEq, Exception)]
#[exception(module = "shop.errors")]
pub(crate) enum Refused {
    /// Its arguments are by position, as those of most classes in Python.
    #[exception(class = "TooMany", message = "{0} of at most {1}", expected)]
    Many(u32, u32),
    /// One that Python has.
    #[exception(module = "builtins", class = "ValueError")]
    Value(#[exception(message)] String),
    #[exception(message = "the shop is closed")]
    Closed,
}

/// Its message is what it displays.
#[derive(Debug, Clone, PartialEq, Exception)]
#[exception(module = "shop.errors", class = "Late")]
struct Late {
    #[exception(arg)]
    minutes: u32,
}

impl fmt::Display for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} minutes late", self.minutes)
    }
}

#[oslo_messaging::service(version = "1.0")]
pub(crate) trait Shop {
    async fn buy(&self, context: Context, count: u32) -> Result<u32, Refused>;
    async fn find(&self, context: Context, item: String) -> Result<u32, OutOfStock>;
    async fn up(&self, context: Context) -> Result<bool, Infallible>;
    async fn sum(&self, context: Context, count: u32) -> Result<u32, Failure>;
}

struct Counter;

impl Shop for Counter {
    async fn buy(&self, _: Context, count: u32) -> Result<u32, Refused> {
        match count {
            0 => Err(Refused::Value("nothing to buy".to_owned())),
            1..=9 => Ok(count * 3),
            10 => Err(Refused::Closed),
            _ => Err(Refused::Many(count, 9)),
        }
    }

    async fn find(&self, _: Context, item: String) -> Result<u32, OutOfStock> {
        Err(OutOfStock { item, shelf: 4 })
    }

    async fn up(&self, _: Context) -> Result<bool, Infallible> {
        panic!("on purpose")
    }

    async fn sum(&self, context: Context, count: u32) -> Result<u32, Failure> {
        Ok(self.buy(context, count).await?)
    }
}

async fn shop() -> (Fleet, ShopClient) {
    let fleet = Fleet::of(ShopEndpoint::new(Counter)).await;
    let client = ShopClient::new(&fleet.bus, Target::topic("compute"));
    (fleet, client)
}

#[tokio::test(start_paused = true)]
async fn the_error_of_a_method_comes_back_as_the_value_that_it_was() {
    let (_fleet, shop) = shop().await;
    let context = Context::new();
    assert_eq!(shop.buy(&context, 3).await.unwrap(), 9);
    for (count, expected) in
        [(0, Refused::Value("nothing to buy".to_owned())), (10, Refused::Closed), (12, Refused::Many(12, 9))]
    {
        let Err(CallError::Method(refused, error)) = shop.buy(&context, count).await else { panic!("{expected:?}") };
        assert_eq!((refused, error.executed()), (expected, Executed::Yes));
    }
    let Err(CallError::Method(found, _)) = shop.find(&context, "unicorn".to_owned()).await else { panic!() };
    assert_eq!(found, OutOfStock { item: "unicorn".to_owned(), shelf: 4 });
}

#[tokio::test(start_paused = true)]
async fn another_exception_is_one_of_the_bus() {
    let (_fleet, shop) = shop().await;
    let Err(CallError::Bus(error)) = shop.up(&Context::new()).await else { panic!("it panics") };
    assert_eq!(error.remote().unwrap().class(), "RuntimeError");
    let Err(CallError::Method(failure, _)) = shop.sum(&Context::new(), 12).await else { panic!("it is a failure") };
    assert_eq!((failure.class(), failure.message()), ("TooMany", "12 of at most 9"));
}

#[test]
fn an_exception_has_the_parts_that_python_makes_it_with() {
    let failure = OutOfStock { item: "pear".to_owned(), shelf: 7 }.failure();
    assert_eq!((failure.module(), failure.class(), failure.message()), ("shop.errors", "OutOfStock", "no pear left"));
    assert_eq!(
        (failure.args().as_str(), failure.kwargs().as_str()),
        (r#"["no pear left"]"#, r#"{"item":"pear","shelf_number":7}"#)
    );
    assert!(failure.is_expected());
    let failure = Late { minutes: 5 }.failure();
    assert_eq!(
        (failure.args().as_str(), failure.kwargs().as_str(), failure.message()),
        ("[5]", "{}", "5 minutes late")
    );
    assert!(!failure.is_expected());
}

#[test]
fn what_does_not_fit_is_an_error_and_no_panic() {
    let exception = |failure: Failure| OutOfStock::try_from(&RemoteError::from(failure));
    let right = || Failure::new("shop.errors", "OutOfStock", "text");
    assert!(exception(right().with_kwargs(serde_json::json!({"item": "a", "shelf_number": 1, "more": 2}))).is_ok());
    for wrong in [
        right(),
        right().with_kwargs(serde_json::json!({"item": "a", "shelf_number": "one"})),
        Failure::new("shop", "OutOfStock", "text").with_kwargs(serde_json::json!({"item": "a", "shelf_number": 1})),
    ] {
        assert!(exception(wrong.clone()).is_err(), "{wrong:?}");
    }
    let many =
        Refused::try_from(&RemoteError::from(Failure::new("shop.errors", "TooMany", "text").with_args((1, 2, 3))));
    assert!(many.is_err(), "it has one argument too many");
}
