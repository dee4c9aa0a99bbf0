use std::fs;
use std::path::PathBuf;

use super::*;

const NOVA: &str = "\
# Of a real service.
[DEFAULT]
transport_url = rabbit://nova:s$$cret@mq1:5672,nova:s$$cret@mq2:5672/nova
control_exchange=nova
rpc_response_timeout: 90
rpc_ping_enabled = True
state_path = /var/lib/nova

[oslo_messaging_notifications]
driver = messagingv2
driver = log
topics = notifications, billing
retry = 3
transport_url = rabbit://${user}@mq3/
user = auditor

[oslo_messaging_rabbit]
amqp_durable_queues = false
amqp_durable_queues = true
heartbeat_in_pthread = false
";

#[test]
fn what_an_operator_has_written_is_what_is_read() {
    let file = ConfigFile::parse(NOVA).unwrap();
    let url = file.transport_url().unwrap();
    assert_eq!(url.hosts()[1].password.as_ref().unwrap().expose(), "s$cret");
    assert_eq!(file.control_exchange(), "nova");
    assert_eq!(file.rpc_response_timeout().unwrap(), Duration::from_secs(90));
    assert!(file.rpc_ping_enabled().unwrap());
    assert_eq!(file.notification_topics(), ["notifications", "billing"]);
    assert_eq!(file.notification_drivers(), ["messagingv2", "log"]);
    assert_eq!(file.notification_retry().unwrap(), Retry::times(3));
    let notifications = file.notification_transport_url().unwrap();
    assert_eq!(notifications.hosts()[0].username.as_deref(), Some("auditor"));
    let rabbit: Vec<_> = file.section("oslo_messaging_rabbit").collect();
    assert_eq!(rabbit, [("amqp_durable_queues", "true".to_owned()), ("heartbeat_in_pthread", "false".to_owned())]);
}

#[test]
fn what_a_file_leaves_out_is_the_reference_s_default() {
    let file = ConfigFile::parse("").unwrap();
    assert_eq!(file.transport_url().unwrap().to_secret_string(), "rabbit://");
    assert_eq!(file.notification_transport_url().unwrap(), file.transport_url().unwrap());
    assert_eq!((file.control_exchange().as_str(), file.rpc_ping_enabled().unwrap()), ("openstack", false));
    assert_eq!(file.rpc_response_timeout().unwrap(), Duration::from_secs(60));
    assert_eq!(file.notification_topics(), ["notifications"]);
    assert_eq!(file.notification_drivers(), [""; 0]);
    assert_eq!(file.notification_retry().unwrap(), Retry::until_deadline());
}

#[test]
fn retries_are_a_number_or_minus_one() {
    let read = |value: &str| {
        ConfigFile::parse(&format!("[oslo_messaging_notifications]\nretry = {value}\n")).unwrap().notification_retry()
    };
    assert_eq!((read("-1").unwrap(), read("0").unwrap()), (Retry::until_deadline(), Retry::never()));
    for wrong in ["-2", "often", "99999999999"] {
        let error = read(wrong).unwrap_err();
        assert!(error.kind() == ErrorKind::Config && error.to_string().contains("retry"), "{error}");
    }
}

#[test]
fn values_that_cannot_be_read_are_named() {
    let file = ConfigFile::parse("[DEFAULT]\nrpc_response_timeout = soon\nrpc_ping_enabled = maybe\n").unwrap();
    for error in [file.rpc_response_timeout().unwrap_err(), file.rpc_ping_enabled().unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("option: rpc_"), "{error}");
    }
    let missing = ConfigFile::read("/nowhere/nova.conf").unwrap_err();
    assert!(missing.kind() == ErrorKind::Config && missing.to_string().contains("/nowhere/nova.conf"), "{missing}");
}

#[test]
fn passwords_are_not_shown() {
    assert!(!format!("{:?}", ConfigFile::parse(NOVA).unwrap()).contains("cret"));
}

#[test]
fn later_files_win_and_a_directory_is_read_in_lexical_order() {
    let directory = Directory::new("read-all");
    let main = directory.file("nova.conf", "");
    let parts = directory.path.join("nova.conf.d");
    fs::create_dir_all(parts.join("99-directory.conf")).unwrap();
    for (name, text) in [
        (
            "nova.conf.d/02-later.conf",
            "[DEFAULT]\ncontrol_exchange = second\n[oslo_messaging_notifications]\ndriver = log\n",
        ),
        ("nova.conf.d/01-first.conf", "[DEFAULT]\ncontrol_exchange = first\ntransport_url = rabbit://mq1/\n"),
        ("nova.conf.d/10-between.conf", "[OSLO_Messaging_Notifications]\ndriver = messagingv2\n"),
        ("nova.conf.d/.hidden.conf", "[DEFAULT]\ncontrol_exchange = hidden\n"),
        ("nova.conf.d/zz.conf.bak", "[DEFAULT]\ncontrol_exchange = backup\n"),
    ] {
        directory.file(name, text);
    }
    let file = ConfigFile::read_all([&main, &parts]).unwrap();
    assert_eq!(file.control_exchange(), "second");
    assert_eq!(file.transport_url().unwrap().to_string(), "rabbit://mq1/");
    assert_eq!(file.notification_drivers(), ["log", "messagingv2"], "of options with several values all count");
    let last = directory.file("last.conf", "[DEFAULT]\ncontrol_exchange = last\n");
    assert_eq!(ConfigFile::read_all([&main, &parts, &last]).unwrap().control_exchange(), "last");
}

#[test]
fn of_several_files_the_one_that_cannot_be_read_is_named() {
    let directory = Directory::new("unreadable");
    let (good, bad) = (directory.file("good.conf", "[DEFAULT]\n"), directory.file("bad.conf", "secret\n"));
    for (paths, named) in
        [([&good, &bad], "bad.conf"), ([&good, &PathBuf::from("/nowhere/nova.conf.d")], "/nowhere/nova.conf.d")]
    {
        let error = ConfigFile::read_all(paths).unwrap_err();
        assert!(error.kind() == ErrorKind::Config && error.to_string().contains(named), "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

#[test]
fn a_default_of_the_program_counts_where_no_file_says_otherwise() {
    let silent = ConfigFile::parse("").unwrap().with_default_exchange("nova");
    assert_eq!(silent.control_exchange(), "nova");
    let said = ConfigFile::parse("[DEFAULT]\ncontrol_exchange = neutron\n").unwrap().with_default_exchange("nova");
    assert_eq!(said.control_exchange(), "neutron");
    let referring = ConfigFile::parse("[DEFAULT]\ntransport_url = rabbit://$my_ip/\n").unwrap();
    let url = referring.with_default("DEFAULT", "my_ip", "10.0.0.1").transport_url().unwrap();
    assert_eq!(url.to_string(), "rabbit://10.0.0.1/");
}

#[test]
fn a_url_may_go_over_several_lines() {
    let text = "[DEFAULT]\ntransport_url = rabbit://u:p@mq1:5672,\n    u:p@mq2:5672,\n\tu:p@mq3:5672/nova\n";
    let url = ConfigFile::parse(text).unwrap().transport_url().unwrap();
    assert_eq!(url.to_secret_string(), "rabbit://u:p@mq1:5672,u:p@mq2:5672,u:p@mq3:5672/nova");
}

#[test]
fn sections_are_found_in_any_case_but_for_default() {
    let text = "[Oslo_Messaging_Rabbit]\nssl = true\n[oslo_messaging_rabbit]\nssl = false\n[default]\nk = v\n";
    let file = ConfigFile::parse(text).unwrap();
    for section in ["oslo_messaging_rabbit", "OSLO_MESSAGING_RABBIT"] {
        assert_eq!(file.get(section, "ssl").as_deref(), Some("false"));
        assert_eq!(file.section(section).count(), 1);
    }
    assert_eq!((file.get("DEFAULT", "k"), file.get("Default", "k").as_deref()), (None, Some("v")));
}

#[test]
fn a_name_that_no_file_gives_is_an_error_and_never_shows_a_password() {
    let error = |value: &str| {
        let text = format!("[DEFAULT]\ntransport_url = {value}\nword = abc$defword\nloop = $loop\n");
        ConfigFile::parse(&text).unwrap().transport_url().unwrap_err()
    };
    for (value, shown) in
        [("rabbit://u:p@$my_ip:5672/", "$my_ip"), ("rabbit://${mq.host}/", "$mq.host"), ("rabbit://$loop/", "$loop")]
    {
        let error = error(value);
        assert!(error.kind() == ErrorKind::Config && error.to_string().contains(shown), "{error}");
    }
    for (value, hidden) in [("rabbit://u:pass$hunter2@h/", "hunter2"), ("rabbit://u:$word@h/", "defword")] {
        let error = error(value);
        assert!(error.kind() == ErrorKind::Config && !error.to_string().contains(hidden), "{error}");
    }
    let exchange = ConfigFile::parse("[DEFAULT]\ncontrol_exchange = $unknown\n").unwrap();
    assert!(exchange.resolved_exchange().is_err());
}

#[test]
fn an_empty_number_is_none() {
    let text =
        "[DEFAULT]\nrpc_response_timeout =\nexecutor_thread_pool_size =\n[oslo_messaging_notifications]\nretry =\n";
    let file = ConfigFile::parse(text).unwrap();
    assert_eq!(file.rpc_response_timeout().unwrap(), Duration::from_secs(60));
    assert_eq!(file.executor_thread_pool_size().unwrap(), None);
    assert_eq!(file.notification_retry().unwrap(), Retry::until_deadline());
}

#[test]
fn an_empty_url_of_notifications_is_that_of_the_bus() {
    let text = "[DEFAULT]\ntransport_url = rabbit://mq1/\n[oslo_messaging_notifications]\ntransport_url =\n";
    assert_eq!(ConfigFile::parse(text).unwrap().notification_transport_url().unwrap().to_string(), "rabbit://mq1/");
}

#[test]
fn the_executor_s_size_is_a_number_above_zero_by_either_name() {
    let read = |line: &str| ConfigFile::parse(&format!("[DEFAULT]\n{line}\n")).unwrap().executor_thread_pool_size();
    assert_eq!(read("executor_thread_pool_size = 8").unwrap(), Some(8));
    assert_eq!(read("rpc_thread_pool_size = 9").unwrap(), Some(9));
    assert_eq!(read("rpc_thread_pool_size = 9\nexecutor_thread_pool_size = 8").unwrap(), Some(8));
    for wrong in ["0", "-1", "many"] {
        let error = read(&format!("executor_thread_pool_size = {wrong}")).unwrap_err();
        assert!(
            error.kind() == ErrorKind::Config && error.to_string().contains("executor_thread_pool_size"),
            "{error}"
        );
    }
}

/// A directory of one test, which goes with it.
struct Directory {
    path: PathBuf,
}

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("oslo-messaging-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self { path }
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path.join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}
