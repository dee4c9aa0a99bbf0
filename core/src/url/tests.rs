use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> TransportUrl {
    TransportUrl::parse(text).unwrap()
}

fn foo() -> TransportUrl {
    TransportUrl::new("foo").unwrap()
}

fn bar(hosts: impl IntoIterator<Item = Host>) -> TransportUrl {
    hosts.into_iter().fold(foo().with_virtual_host("bar"), TransportUrl::with_host)
}

fn at(hostname: &str, port: u16) -> Host {
    Host::new(hostname).with_port(port)
}

fn with(host: Host, username: &str, password: &str) -> Host {
    host.with_username(username).with_password(password)
}

/// The scenarios of `TestParseURL` in the reference's `test_urls.py`.
#[test]
fn the_references_parse_cases_have_its_values() {
    let quoted = foo().with_virtual_host("$").with_host(with(at("host", 1234), "u$", "p&"));
    for (text, expected) in [
        ("foo:", foo()),
        ("foo:////", foo().with_virtual_host("/")),
        ("foo:///bar", bar([])),
        ("foo://host/bar", bar([Host::new("host")])),
        ("foo://[ffff::1]/bar", bar([Host::new("ffff::1")])),
        ("foo://host:1234/bar", bar([at("host", 1234)])),
        ("foo://[ffff::1]:1234/bar", bar([at("ffff::1", 1234)])),
        ("foo://u@host:1234/bar", bar([at("host", 1234).with_username("u")])),
        ("foo://u:p@host:1234/bar", bar([with(at("host", 1234), "u", "p")])),
        ("foo://u:p@/bar", bar([with(Host::default(), "u", "p")])),
        ("foo://u:p@host1:1234,host2:4321/bar", bar([with(at("host1", 1234), "u", "p"), at("host2", 4321)])),
        ("foo://u:p@host1,host2/bar", bar([with(Host::new("host1"), "u", "p"), Host::new("host2")])),
        (
            "foo://u1:p1@host1:1234,u2:p2@host2:4321/bar",
            bar([with(at("host1", 1234), "u1", "p1"), with(at("host2", 4321), "u2", "p2")]),
        ),
        (
            "foo://u1:p1@[ffff::1]:1234,u2:p2@[ffff::2]:4321/bar",
            bar([with(at("ffff::1", 1234), "u1", "p1"), with(at("ffff::2", 4321), "u2", "p2")]),
        ),
        ("foo://u%24:p%26@host:1234/%24", quoted),
    ] {
        assert_eq!(parse(text), expected, "{text}");
    }
}

/// The scenarios of `TestFormatURL`. The first differs by intent: without a virtual host there is no final slash.
#[test]
fn the_references_format_cases_have_its_texts() {
    let url = TransportUrl::new("testtransport").unwrap();
    let bob = with(at("host", 10), "bob", "secret");
    let two = url.clone().with_host(with(at("h1", 1000), "b1", "s1")).with_host(with(at("h2", 2000), "b2", "s2"));
    for (value, expected) in [
        (url.clone(), "testtransport://"),
        (url.clone().with_virtual_host("/vhost"), "testtransport:////vhost"),
        (url.clone().with_virtual_host("/").with_host(bob), "testtransport://bob:secret@host:10//"),
        (two.with_virtual_host(""), "testtransport://b1:s1@h1:1000,b2:s2@h2:2000/"),
        (
            url.with_virtual_host("/$").with_host(with(at("host", 10), "b$", "s&")),
            "testtransport://b%24:s%26@host:10//%24",
        ),
    ] {
        assert_eq!(value.to_secret_string(), expected);
    }
}

#[test]
fn a_virtual_host_is_the_path_without_its_first_slash() {
    let cases = [
        ("foo://h", None),
        ("foo://h/", Some("")),
        ("foo://h//", Some("/")),
        ("foo:/v", Some("v")),
        ("foo://h?a=b", None),
    ];
    for (text, expected) in cases {
        assert_eq!(parse(text).virtual_host(), expected, "{text}");
    }
}

#[test]
fn a_user_name_may_contain_an_at_sign() {
    assert_eq!(parse("foo://alice@corp:p@h").hosts(), [with(Host::new("h"), "alice@corp", "p")]);
}

#[test]
fn an_ipv6_address_without_a_port_needs_no_brackets() {
    assert_eq!(parse("foo://ffff::1").hosts(), [Host::new("ffff::1")]);
    assert_eq!(parse("foo://[fe80::1%eth0]:5672").hosts(), [at("fe80::1%eth0", 5672)]);
}

#[test]
fn empty_hosts_are_left_out() {
    assert_eq!(parse("foo://,h1,,h2,/").hosts(), [Host::new("h1"), Host::new("h2")]);
}

#[test]
fn repeated_options_are_joined_and_empty_ones_kept() {
    let url = parse("foo://?a=1&b=x+y&a=2&c=&d");
    let options: Vec<_> = url.query().iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(options, [("a", "1,2"), ("b", "x y"), ("c", ""), ("d", "")]);
}

#[test]
fn the_driver_is_found_by_the_scheme_before_its_plus() {
    let url = parse("Kombu+Memory://");
    assert_eq!((url.scheme(), url.transport()), ("kombu", "kombu+memory"));
}

#[test]
fn every_bad_url_is_refused_with_its_own_reason_and_without_the_text() {
    for (text, reason) in [
        ("", "no scheme"),
        ("s3cret", "no scheme"),
        ("//u:s3cret@h", "no scheme"),
        ("7foo://u:s3cret@h", "no scheme"),
        ("user:s3cret@h", "followed by '://'"),
        ("foo://u:s3cret/bar", "port"),
        ("foo://u:s3cret,x@h", "port"),
        ("foo://h:", "65535"),
        ("foo://h:65536", "65535"),
        ("foo://h:+80", "65535"),
        ("foo://h:-1", "65535"),
        ("foo://h:1:2", "65535"),
        ("foo://[ffff::1", "never closed"),
        ("foo://[ffff::1]5672", "after the ']'"),
        ("foo://[ffff::1]:", "65535"),
        ("foo://u:s3cret#x@h", "%23"),
        ("foo://u:s3cret @h", "white space"),
        ("foo://u:s3cret@h\n", "white space"),
        ("foo://u:s3cret%ff@h", "UTF-8"),
        ("foo://u:12?s3cret@h/v", "%3F"),
    ] {
        let error = TransportUrl::parse(text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{text}");
        assert!(error.to_string().contains(reason), "{text}: {error}");
        assert!(!format!("{error} {error:?}").contains("s3cret"), "{text}: {error}");
    }
}

#[test]
fn a_password_is_never_shown() {
    let url = parse("foo://u:s3cret@h:1/v?ssl_key_password=s3cret&a=b");
    assert_eq!(url.to_string(), "foo://u:***@h:1/v?a=b&ssl_key_password=***");
    assert_eq!(format!("{url:?}"), "TransportUrl(foo://u:***@h:1/v?a=b&ssl_key_password=***)");
    assert!(!format!("{:?}", url.hosts()).contains("s3cret"));
    assert_eq!(url.hosts()[0].password.as_ref().unwrap().expose(), "s3cret");
}

#[test]
fn an_option_that_may_be_a_secret_is_never_shown() {
    for key in
        ["password", "rabbit_password", "PassPhrase", "passwd", "pwd", "pw", "token", "auth_token", "client_secret"]
    {
        let shown = parse(&format!("rabbit://h/?{key}=s3cret")).to_string();
        assert!(shown.ends_with("=***"), "{shown}");
    }
    let files = "rabbit://h?ssl_key_file=/etc/key.pem&ssl_password_file=/etc/word";
    assert_eq!(parse(files).to_string(), "rabbit://h?ssl_key_file=%2Fetc%2Fkey.pem&ssl_password_file=%2Fetc%2Fword");
}

fn hosts() -> impl Strategy<Value = Host> {
    (option::of(any::<String>()), option::of(any::<String>()), any::<String>(), option::of(any::<u16>())).prop_map(
        |(username, password, hostname, port)| {
            let mut host = Host::new(hostname);
            host.port = port;
            host.username = username;
            match password {
                Some(password) => host.with_password(password),
                None => host,
            }
        },
    )
}

prop_compose! {
    fn urls()(
        transport in "[a-z][a-z0-9.-]{0,8}([+][a-z]{1,8})?",
        hosts in vec(hosts(), 0..4),
        virtual_host in option::of(any::<String>()),
        query in btree_map(any::<String>(), any::<String>(), 0..4),
    ) -> TransportUrl {
        let mut url = hosts.into_iter().fold(TransportUrl::new(&transport).unwrap(), TransportUrl::with_host);
        if let Some(virtual_host) = virtual_host {
            url = url.with_virtual_host(virtual_host);
        }
        query.into_iter().fold(url, |url, (key, value)| url.with_query(key, value))
    }
}

proptest! {
    #[test]
    fn what_is_printed_is_read_back_as_the_same_value(url in urls()) {
        prop_assert_eq!(TransportUrl::parse(&url.to_secret_string()).unwrap(), url);
    }

    #[test]
    fn no_text_panics(text in any::<String>(), tail in "[a@:/,\\[\\]%?&=#0-9]{0,24}") {
        let _ = TransportUrl::parse(&text);
        let _ = TransportUrl::parse(&format!("foo://{tail}"));
    }

    #[test]
    fn no_password_of_a_url_appears_in_what_is_shown(password in "[A-Z]{6,12}", tail in "[a@:/,\\[\\]%?&=#0-9]{0,24}") {
        let text = format!("foo://u:{password}{tail}");
        let shown = match TransportUrl::parse(&text) {
            Err(error) => format!("{error} {error:?}"),
            Ok(url) if url.hosts().first().is_some_and(|host| host.password.is_some()) => format!("{url} {url:?}"),
            Ok(_) => String::new(),
        };
        prop_assert!(!shown.contains(&password), "{}", shown);
    }
}
