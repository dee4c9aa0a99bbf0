//! Text to value. No message here repeats the text: what stands where a port belongs may be a password.
//!
//! Every error is of the kind `Config` and gives a rule, never a part of the text.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::str::FromStr;

use percent_encoding::percent_decode_str;

use super::{Host, TransportUrl, invalid};
use crate::{Error, Result};

impl FromStr for TransportUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

/// Reads a whole URL. Options stay text, since only their driver knows them.
///
/// Everything after the scheme is optional: `rabbit://` has no host and no virtual host. Empty entries between commas
/// are skipped, as are hosts that say nothing.
///
/// Errors: `Config` for white space, `#`, a missing scheme, a port that is no number, text in percent form that is not
/// UTF-8, or an option whose name contains `@`.
pub(super) fn url(text: &str) -> Result<TransportUrl> {
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(invalid("white space and control characters are written in percent form"));
    }
    // The reference drops a fragment in silence, and with it the rest of a password that contains '#'.
    if text.contains('#') {
        return Err(invalid("a '#' is written %23"));
    }
    let (scheme, rest) = text.split_once(':').filter(|(scheme, _)| is_scheme(scheme)).ok_or_else(no_scheme)?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = match rest.strip_prefix("//") {
        Some(rest) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
        None => ("", rest),
    };
    let virtual_host = match path.strip_prefix('/') {
        Some(path) => Some(decode(path)?),
        None if path.is_empty() => None,
        None => return Err(invalid("the scheme is followed by '://'")),
    };
    // An entry may be empty, as in a list with a comma at its end.
    let hosts = authority.split(',').filter(|text| !text.is_empty()).map(host);
    // `[]` says nothing at all, and so is no host.
    let hosts = hosts.filter(|host| !matches!(host, Ok(host) if *host == Host::default())).collect::<Result<_>>()?;
    Ok(TransportUrl { hosts, virtual_host, query: options(query)?, ..TransportUrl::new(scheme)? })
}

/// Whether `text` can stand before `://`.
///
/// By the grammar of RFC 3986: a letter, then letters, digits, `+`, `-` and `.`.
pub(super) fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

/// The example in it shows the form; it is not a default.
fn no_scheme() -> Error {
    invalid("no scheme; a transport URL begins like 'rabbit://'")
}

/// One host: credentials up to the last `@`, then name or address, then port.
///
/// Percent form is decoded after the text was split, so that an escaped `:` or `@` separates nothing.
///
/// Errors: `Config` for a port that is no number, or text in percent form that is not UTF-8.
fn host(text: &str) -> Result<Host> {
    // The last '@', so that a user name may contain one (some SASL mechanisms want that).
    let (credentials, place) = match text.rsplit_once('@') {
        Some((credentials, place)) => (Some(credentials), place),
        None => (None, text),
    };
    let (hostname, port) = place_and_port(place)?;
    let mut host = Host::new(hostname);
    host.port = port;
    if let Some(credentials) = credentials {
        let (username, password) = match credentials.split_once(':') {
            Some((username, password)) => (username, Some(password)),
            None => (credentials, None),
        };
        host = host.with_username(decode(username)?);
        if let Some(password) = password {
            host = host.with_password(decode(password)?);
        }
    }
    Ok(host)
}

/// A name or an IPv4 address before an optional port; an IPv6 address in brackets, or without brackets and port. A
/// zone (`%25eth0`) may follow the address.
fn place_and_port(text: &str) -> Result<(String, Option<u16>)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (address, after) =
            rest.split_once(']').ok_or_else(|| invalid("the '[' of an IPv6 address is never closed"))?;
        return match after.strip_prefix(':') {
            Some(digits) => Ok((decode(address)?, Some(port(digits)?))),
            None if after.is_empty() => Ok((decode(address)?, None)),
            None => Err(invalid("after the ']' of an IPv6 address only ':' and a port can follow")),
        };
    }
    // As in the reference, an IPv6 address without a port needs no brackets.
    if text.split('%').next().is_some_and(|address| address.parse::<Ipv6Addr>().is_ok()) {
        return Ok((decode(text)?, None));
    }
    match text.split_once(':') {
        Some((hostname, digits)) => Ok((decode(hostname)?, Some(port(digits)?))),
        None => Ok((decode(text)?, None)),
    }
}

/// A port. The error does not repeat the text: it may be a part of a password.
///
/// Unsigned decimal digits only, at most 65535: no sign and no space.
fn port(digits: &str) -> Result<u16> {
    let number = Some(digits).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit())).map(str::parse);
    match number {
        Some(Ok(port)) => Ok(port),
        _ => Err(invalid(
            "a port is a number up to 65535; one of , / : ? @ in a user name or password is written in percent form",
        )),
    }
}

/// Like the reference, but an option without a value is kept as an empty one, so that its driver can complain.
///
/// The values of a repeated option are joined by commas, in their order. `+` is a space, as in a form.
fn options(query: &str) -> Result<BTreeMap<String, String>> {
    let mut options = BTreeMap::<String, String>::new();
    for option in query.split('&').filter(|option| !option.is_empty()) {
        let (key, value) = option.split_once('=').unwrap_or((option, ""));
        // What follows a '?' in a password would be an option otherwise, and be shown as one.
        if key.contains('@') {
            return Err(invalid("a '?' in a user name or password is written %3F"));
        }
        let value = decode(&value.replace('+', " "))?;
        options
            .entry(decode(&key.replace('+', " "))?)
            .and_modify(|values| {
                values.push(',');
                values.push_str(&value);
            })
            .or_insert(value);
    }
    Ok(options)
}

/// Errors: `Config` if the decoded bytes are not UTF-8.
fn decode(text: &str) -> Result<String> {
    let text = percent_decode_str(text).decode_utf8().map_err(|_| invalid("what is in percent form is not UTF-8"))?;
    Ok(text.into_owned())
}
