//! What is logged of a configuration file that names no broker.

use oslo_messaging::ConfigFile;

use crate::log::capture;

#[test]
fn a_bus_that_falls_back_to_this_machine_is_warned_of_and_a_configured_one_is_not() {
    let (log, _guard) = capture();
    let blank = ConfigFile::parse("[DEFAULT]\n").unwrap();
    blank.transport_url().unwrap();
    blank.notification_transport_url().unwrap();
    let warnings = log.warnings();
    assert!(warnings.len() == 2 && warnings.iter().all(|line| line.message.contains("transport_url")), "{warnings:?}");
    let named = ConfigFile::parse("[DEFAULT]\ntransport_url = rabbit://mq1/\n").unwrap();
    named.transport_url().unwrap();
    named.notification_transport_url().unwrap();
    assert_eq!(log.warnings().len(), 2);
}
