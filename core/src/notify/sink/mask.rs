//! JSON with the secrets in it masked.
//!
//! The list of names is that of oslo.utils, so that the log shows what the reference's log would show. The JSON is
//! rewritten as text: numbers and the order of fields stay as they were.
//!
//! The work grows with the length of the text times its depth, which is at most 64.

use serde_json::value::RawValue;

use crate::Payload;
use crate::notify::secret::MASK;
use crate::wire::fields::Fields;

/// Parts of names that mark a secret, in lower case (oslo.utils 10, `strutils.py:_SANITIZE_KEYS`).
/// Names that contain a listed one are left out.
const SECRETS: [&str; 29] = [
    "adminpass",
    "admin_pass",
    "password",
    "new_pass",
    "secret",
    "sys_pswd",
    "token",
    "configdrive",
    "encrypted_key",
    "private_key",
    "fernetkey",
    "sslkey",
    "passphrase",
    "cephclusterfsid",
    "octaviaheartbeatkey",
    "rabbitcookie",
    "cephmanilaclientkey",
    "pacemakerremoteauthkey",
    "designaterndckey",
    "cephadminkey",
    "heatauthencryptionkey",
    "cephclientkey",
    "keystonecredential",
    "barbicansimplecryptokek",
    "cephrgwkey",
    "swifthashsuffix",
    "migrationsshkey",
    "cephmdskey",
    "cephmonkey",
];

/// Values nested deeper than this are masked whole, so that none can exhaust the stack.
///
/// The limit is on nesting in the payload, not on the number of fields.
const DEEPEST: usize = 64;

/// The text of `value`, order and numbers as they were, with `***` for what a secret's name stands before.
///
/// Names are searched at any depth; texts are not, so a secret in the middle of a sentence stays.
///
/// An object or an array that does not parse comes out as the mask alone.
pub(super) fn masked(value: &Payload) -> String {
    let text = value.strict();
    let mut out = String::with_capacity(text.len());
    write_masked(&mut out, &text, 0);
    out
}

/// Writes one JSON value, masking the values of secret names. Text that does not parse is masked whole.
///
/// Each level parses its fields as raw text and passes them on, so that numbers keep their digits.
fn write_masked(out: &mut String, text: &str, depth: usize) {
    match text.as_bytes().first() {
        // Masked, not copied: a secret may stand below.
        Some(b'{' | b'[') if depth == DEEPEST => write_mask(out),
        Some(b'{') => {
            let Ok(Fields(fields)) = serde_json::from_str::<Fields<'_, { usize::MAX }>>(text) else {
                return write_mask(out);
            };
            out.push('{');
            for (index, (name, value)) in fields.iter().enumerate() {
                separate(out, index);
                out.push_str(&serde_json::Value::from(name.as_ref()).to_string());
                out.push(':');
                if is_secret(name) { write_mask(out) } else { write_masked(out, value.get(), depth + 1) }
            }
            out.push('}');
        }
        Some(b'[') => {
            let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(text) else { return write_mask(out) };
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                separate(out, index);
                write_masked(out, item.get(), depth + 1);
            }
            out.push(']');
        }
        _ => out.push_str(text),
    }
}

/// Writes a comma before every item but the first.
fn separate(out: &mut String, index: usize) {
    if index > 0 {
        out.push(',');
    }
}

/// Writes a JSON string, whatever the type of the secret was.
fn write_mask(out: &mut String) {
    out.push('"');
    out.push_str(MASK);
    out.push('"');
}

/// Whether `name` contains the name of a secret, in any case.
///
/// The comparison is with parts of names: `user_password_hash` counts as a secret.
fn is_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    SECRETS.iter().any(|secret| name.contains(secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(json: &str) -> String {
        masked(&Payload::from_json(json.to_owned()).unwrap())
    }

    #[test]
    fn what_stands_under_the_name_of_a_secret_is_masked_at_any_depth() {
        // Each as `strutils.mask_dict_password` of oslo.utils 10.2.0 masks it.
        for (json, expected) in [
            (r#"{"password":"x","user":"admin"}"#, r#"{"password":"***","user":"admin"}"#),
            (r#"{"nested":{"admin_Password":"x"},"n":1}"#, r#"{"nested":{"admin_Password":"***"},"n":1}"#),
            (r#"{"os_auth_token_id":5}"#, r#"{"os_auth_token_id":"***"}"#),
            (r#"{"items":[{"sslkey":"x"},1]}"#, r#"{"items":[{"sslkey":"***"},1]}"#),
        ] {
            assert_eq!(mask(json), expected);
        }
    }

    #[test]
    fn an_object_under_the_name_of_a_secret_is_masked_whole() {
        assert_eq!(mask(r#"{"secret":{"inner":"x"},"tokens":["x"]}"#), r#"{"secret":"***","tokens":"***"}"#);
    }

    #[test]
    fn all_else_stays_as_it_was() {
        for json in ["null", "5", r#""a password""#, r#"{"z":1208925819614629174706176,"a":[1.50,null,{"é\"":[]}]}"#] {
            assert_eq!(mask(json), json);
        }
    }

    #[test]
    fn what_is_nested_too_deep_is_masked_and_not_followed() {
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        assert_eq!(mask(&deep), "[".repeat(DEEPEST) + "\"***\"" + &"]".repeat(DEEPEST));
    }

    proptest::proptest! {
        #[test]
        fn no_value_under_such_a_name_comes_through(
            before in "[a-z_]{0,6}", which in 0..SECRETS.len(), after in "[A-Z_]{0,6}", depth in 0..8_usize,
        ) {
            let name = format!("{before}{}{after}", SECRETS[which].to_uppercase());
            let json = r#"{"k":["#.repeat(depth) + &format!(r#"{{"{name}":"hunter2"}}"#) + &"]}".repeat(depth);
            proptest::prop_assert!(!mask(&json).contains("hunter2"));
        }
    }
}
