//! The contract of a service, and the file that it is compared with.

use std::path::PathBuf;
use std::{env, fs, process};

use oslo_messaging::rpc::Contract;
use oslo_messaging::{Context, Failure};
use serde_json::{Value, json};

use crate::compute::ComputeEndpoint;
use crate::errors::ShopEndpoint;

/// The file of the service, as its author commits it.
const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/service/compute.contract.json");

/// A file that is removed when the test ends.
struct Scratch(PathBuf);

impl Scratch {
    fn of(name: &str, contract: &Value) -> Self {
        let path = env::temp_dir().join(format!("{name}-{}.contract.json", process::id()));
        fs::write(&path, contract.to_string()).unwrap();
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn the_contract_of_a_service_is_the_committed_one() {
    ComputeEndpoint::contract().check_file(COMMITTED).unwrap();
}

#[test]
fn a_contract_has_names_versions_types_and_defaults_as_they_are_on_the_wire() {
    let contract = serde_json::to_value(ComputeEndpoint::contract()).unwrap();
    assert_eq!((&contract["namespace"], &contract["version"]), (&json!("base"), &json!("1.3")));
    let reboot = &contract["methods"]["reboot"];
    assert_eq!(reboot["arguments"]["id"], json!({"type": "u64", "since": "1.0", "required": true}));
    let why = json!({"type": "String", "since": "1.3", "required": false, "default": "none given"});
    assert_eq!(reboot["arguments"]["why"], why);
    assert_eq!(reboot["returns"], "String");
    assert_eq!(contract["methods"]["timeout"]["since"], "1.1");
}

/// A default that is `null`, which serde takes for an absent one.
#[oslo_messaging::service]
trait Shelf {
    async fn find(&self, context: Context, #[serde(default)] label: Option<String>) -> Result<bool, Failure>;
}

#[test]
fn a_contract_with_a_default_of_null_is_the_one_that_it_was_written_from() {
    let written = serde_json::to_value(ShelfEndpoint::contract()).unwrap();
    assert_eq!(written["methods"]["find"]["arguments"]["label"]["default"], Value::Null);
    let file = Scratch::of("null", &written);
    ShelfEndpoint::contract().check_file(&file.0).unwrap();
}

#[test]
fn a_contract_lists_the_exceptions_of_a_derived_error() {
    let contract = serde_json::to_value(ShopEndpoint::contract()).unwrap();
    let raises = |method: &str| contract["methods"][method]["raises"].clone();
    assert_eq!(raises("buy"), json!(["shop.errors.TooMany", "builtins.ValueError", "shop.errors.Closed"]));
    assert_eq!(raises("find"), json!(["shop.errors.OutOfStock"]));
    assert_eq!((raises("up"), raises("sum")), (json!([]), json!([])));
}

#[test]
fn a_changed_service_learns_which_version_it_needs() {
    let mut before = serde_json::to_value(ComputeEndpoint::contract()).unwrap();
    before["methods"]["reboot"]["arguments"]["hard"]["default"] = json!(true);
    before["methods"]["timeout"] = Value::Null;
    before["methods"].as_object_mut().unwrap().remove("timeout");
    let file = Scratch::of("changed", &before);
    let changed = ComputeEndpoint::contract().check_file(&file.0).unwrap_err().to_string();
    assert!(changed.contains("the argument `hard` of `reboot` has another default: needs 2.0"), "{changed}");
    assert!(changed.contains("the method `timeout` is new: needs since 1.4"), "{changed}");
    assert!(!changed.contains("OSLO_MESSAGING_WRITE_CONTRACTS"), "nothing to write yet: {changed}");
}

#[test]
fn a_compatible_change_and_a_missing_file_name_the_variable_that_writes_it() {
    let mut before = serde_json::to_value(ComputeEndpoint::contract()).unwrap();
    before["version"] = json!("1.2");
    let file = Scratch::of("compatible", &before);
    let changed = ComputeEndpoint::contract().check_file(&file.0).unwrap_err().to_string();
    assert!(changed.contains("the version was 1.2 and is 1.3: compatible"), "{changed}");
    assert!(changed.contains("OSLO_MESSAGING_WRITE_CONTRACTS=1"), "{changed}");
    let missing = ComputeEndpoint::contract().check_file("no such file").unwrap_err().to_string();
    assert!(missing.contains("OSLO_MESSAGING_WRITE_CONTRACTS=1 writes it"), "{missing}");
}

#[test]
fn a_contract_reads_back_as_it_was_written() {
    let contract = ComputeEndpoint::contract();
    let text = serde_json::to_string(&contract).unwrap();
    assert_eq!(serde_json::from_str::<Contract>(&text).unwrap(), contract);
}
