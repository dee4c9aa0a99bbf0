"""The reference implementation under the same load: `reference.py call|cast --broker HOST:PORT ...`, or `reference.py serve ...`.

Prints the line of results of the other programs. The load is applied by threads, since its client blocks.
"""

import argparse
import json
import os
import sys
import threading
import time

import oslo_messaging
from oslo_config import cfg

TICKS = os.sysconf("SC_CLK_TCK")


def main():
    arguments = parse()
    # The global one: the reference registers options of its tracing there alone.
    conf = cfg.CONF
    conf([])
    transport = oslo_messaging.get_rpc_transport(conf, url=f"rabbit://guest:guest@{arguments.broker}/")
    if arguments.work == "serve":
        return serve(transport, arguments)
    client = oslo_messaging.get_rpc_client(transport, oslo_messaging.Target(topic=arguments.topic))
    print(json.dumps(drive(client, arguments)), flush=True)


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("work", choices=["call", "cast", "serve"])
    parser.add_argument("--broker", required=True)
    parser.add_argument("--topic", default="bench")
    parser.add_argument("--in-flight", type=int, default=8)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--warm-up", type=float, default=0.5)
    parser.add_argument("--broker-process", type=int)
    parser.add_argument("--server-process", type=int)
    return parser.parse_known_args()[0]


class Echo:
    def echo(self, ctxt, s):
        return s

    def note(self, ctxt, s):
        pass


def serve(transport, arguments):
    target = oslo_messaging.Target(topic=arguments.topic, server="s")
    server = oslo_messaging.get_rpc_server(transport, target, [Echo()], executor="threading")
    server.start()
    print("READY", flush=True)
    sys.stdin.read()


def drive(client, arguments):
    text = "x" * arguments.size
    phase = {"measuring": False, "over": False}
    latencies = [[] for _ in range(arguments.in_flight)]
    errors = []

    def repeat(own):
        while not phase["over"]:
            started = time.perf_counter()
            try:
                if arguments.work == "call":
                    assert client.call({}, "echo", s=text) == text
                else:
                    client.cast({}, "note", s=text)
            except Exception as error:
                errors.append(error)
                continue
            if phase["measuring"]:
                own.append(time.perf_counter() - started)

    threads = [threading.Thread(target=repeat, args=(own,), daemon=True) for own in latencies]
    for thread in threads:
        thread.start()
    # Its connections are made by the first calls.
    time.sleep(max(arguments.warm_up, 1.5))
    before, started = clocks(arguments), time.perf_counter()
    phase["measuring"] = True
    time.sleep(arguments.seconds)
    phase["measuring"] = False
    seconds, after = time.perf_counter() - started, clocks(arguments)
    phase["over"] = True
    for thread in threads:
        thread.join(5)
    ordered = sorted(latency for own in latencies for latency in own)
    line = {"program": "python", "work": arguments.work, "operations": len(ordered), "seconds": seconds, "errors": len(errors)}
    line["per_second"] = len(ordered) / seconds
    for name, quantile in [("p50_us", 0.5), ("p90_us", 0.9), ("p99_us", 0.99), ("p999_us", 0.999), ("max_us", 1.0)]:
        line[name] = ordered[round((len(ordered) - 1) * quantile)] * 1e6
    return line | {name: after[name] - before[name] for name in after}


def clocks(arguments):
    """The CPU seconds of the processes, and of the machine."""
    processes = [("process", os.getpid()), ("broker", arguments.broker_process), ("server", arguments.server_process)]
    clocks = {f"{name}_cpu_seconds": cpu_seconds(process) for name, process in processes if process}
    with open("/proc/stat") as stat:
        fields = [int(field) for field in stat.readline().split()[1:9]]
    clocks["machine_cpu_seconds"] = (sum(fields) - fields[3] - fields[4]) / TICKS
    return clocks


def cpu_seconds(process):
    with open(f"/proc/{process}/stat") as stat:
        fields = stat.read().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    # Threads of its library may still wait.
    os._exit(0)
