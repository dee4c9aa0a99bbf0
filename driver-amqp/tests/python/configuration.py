"""What oslo.config and oslo.messaging make of configuration files.

    configuration.py < cases

A case is {"arguments": ["--config-file", ...], "exchange": name?}, where `exchange` is what a service sets in its code. Writes
the list of what each is read as; {"error": class} where the reference refuses it.
"""

import json
import sys

from oslo_config import cfg
from oslo_messaging import opts
from oslo_messaging.transport import TransportURL


def place(url):
    hosts = [[host.username or None, host.password or None, host.hostname or None, host.port or None]
             for host in url.hosts]
    return {"transport": url.transport, "virtual_host": url.virtual_host, "hosts": hosts, "query": url.query}


def given(conf, group):
    """The options of `group` that a file gives, as the reference reads them."""
    values = {}
    for name in conf[group]:
        location = conf.get_location(name, group)
        if location is not None and location.location.is_user_controlled:
            values[name] = conf[group][name]
    return values


def read(case):
    conf = cfg.ConfigOpts()
    for group, options in opts.list_opts():
        conf.register_opts(options, group=group)
    # Of other libraries and of the service.
    conf.register_opts([cfg.StrOpt("host"), cfg.StrOpt("name")], group="mq")
    if case.get("exchange"):
        conf.set_default("control_exchange", case["exchange"])
    conf(case["arguments"], project="none", default_config_files=[], default_config_dirs=[])
    notifications = conf.oslo_messaging_notifications
    return {
        "url": place(TransportURL.parse(conf)),
        "notifications_url": place(TransportURL.parse(conf, notifications.transport_url)),
        "exchange": conf.control_exchange,
        "timeout": conf.rpc_response_timeout,
        "ping": conf.rpc_ping_enabled,
        "pool": conf.executor_thread_pool_size,
        "drivers": notifications.driver,
        "topics": notifications.topics,
        "retry": notifications.retry,
        "rabbit": given(conf, "oslo_messaging_rabbit"),
    }


def attempt(case):
    try:
        return read(case)
    except Exception as error:  # Which one it is, is the answer.
        return {"error": type(error).__name__}


json.dump([attempt(case) for case in json.load(sys.stdin)], sys.stdout)
