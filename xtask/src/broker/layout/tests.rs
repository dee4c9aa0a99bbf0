use super::*;

fn layout() -> Layout {
    Layout {
        directory: "/tmp/node".into(),
        programs: Programs { scripts: "/usr/lib/rabbitmq/bin".into(), mapper: "/usr/bin/epmd".into(), root: None },
        name: "oslo-1@localhost".into(),
        amqp_port: 1,
        distribution_port: 2,
        mapper_port: 3,
        version: "4.3.6".into(),
        release: Some(Release::V4_3Denied),
        as_nobody: false,
    }
}

#[test]
fn every_place_a_node_writes_to_lies_in_its_own_directory() {
    for (name, value) in layout().environment() {
        if name.ends_with("_BASE") || name.ends_with("_FILE") || name == "HOME" {
            assert!(value.starts_with("/tmp/node"), "{name}={value}");
        }
    }
}

#[test]
fn a_node_never_uses_the_port_mapper_of_the_machine() {
    let environment = layout().environment();
    assert!(environment.contains(&("ERL_EPMD_PORT", "3".to_owned())), "{environment:?}");
}

#[test]
fn ports_taken_together_differ() {
    let [a, b, c] = free_ports().unwrap();
    assert!(a != b && b != c && a != c);
}

#[test]
fn a_node_is_distinguished_from_others_of_its_version() {
    assert_eq!(layout().broker(), "RabbitMQ 4.3.6, transient queues denied");
    assert_eq!(Layout { release: None, ..layout() }.broker(), "RabbitMQ 4.3.6");
}

#[test]
fn a_node_that_joins_another_names_both() {
    let second = Layout { name: "oslo-2@localhost".into(), ..layout() };
    let lines = joining([&layout(), &second]);
    assert!(
        lines.contains("nodes.1 = oslo-1@localhost\n") && lines.contains("nodes.2 = oslo-2@localhost\n"),
        "{lines}"
    );
}
