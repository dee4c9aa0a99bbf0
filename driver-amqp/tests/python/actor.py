"""An actor of generated programs that speaks the reference implementation.

    actor.py URL

Reads what it is to do from standard input and writes what happens to standard output, a JSON object a line, as
`oslo_messaging_conformance::programs::Foreign` says. Several commands may be under way at once; a command that ends in
an error it was not asked for is answered `{"broken": {"error": ..}}`. Ends at the end of input.

    start     place, server: {exchange, topic, name, interfaces: [{namespace, version}], concurrency}
    stop
    tell      -> when everything was said that happened before
    send      number, request: {kind, exchange, topic, server, namespace, version, method, mandatory}, nap_ms,
              timeout_ms, give_up_ms

A server acknowledges before it handles, whatever `at_least_once` of its description says: the reference knows nothing
else. A cast cannot be given up, and a call is given up by its timeout. To kill the server, kill the process.
"""

import json
import logging
import os
import sys
import threading
import time

import oslo_messaging
from oslo_config import cfg
from oslo_messaging.rpc import server as rpc_server

# The message that a thread is handling; the reference does not hand it to methods.
HANDLED = threading.local()


class Output:
    """Standard output, a line at a time."""

    def __init__(self):
        self._lock = threading.Lock()

    def say(self, said):
        line = json.dumps(said).encode() + b'\n'
        with self._lock:
            # Not buffered: what was said before this process is killed must have been said.
            os.write(sys.stdout.fileno(), line)


class Server(rpc_server.RPCServer):
    """Remembers whether the message was handed over before."""

    def _process_incoming(self, incoming):
        HANDLED.redelivered = incoming[0].message._raw_message.delivery_info['redelivered']
        super()._process_incoming(incoming)


class Place:
    """The methods of one interface of the server at a place in the program."""

    def __init__(self, place, interface, output):
        self.target = oslo_messaging.Target(namespace=interface['namespace'], version=interface['version'])
        self._place = place
        self._output = output

    def answer(self, ctxt, number, nap_ms):
        self._run('answer', number)
        return self._finish(number)

    def slow(self, ctxt, number, nap_ms):
        self._run('slow', number)
        time.sleep(nap_ms / 1000)
        return self._finish(number)

    @oslo_messaging.expected_exceptions(ValueError)
    def fail(self, ctxt, number, nap_ms):
        self._run('fail', number)
        self._finish(number)
        raise ValueError(str(number))

    def _run(self, method, number):
        run = {'server': self._place, 'number': number, 'method': method, 'redelivered': HANDLED.redelivered}
        self._output.say({'ran': run})

    def _finish(self, number):
        finished = {'server': self._place, 'number': number}
        self._output.say({'finished': finished})
        return finished


class Actor:
    """One transport, and at most one server."""

    def __init__(self, url, output):
        self._output = output
        # The global configuration: parts of the reference read it whatever they are given.
        self._transport = oslo_messaging.get_rpc_transport(cfg.CONF, url=url)
        self._server = None

    def perform(self, command):
        """Does one command and returns how it ended."""
        if command == 'tell':
            # What was said before is on its way before the answer is.
            return 'done'
        if command == 'stop':
            return self._stop()
        [(name, fields)] = command.items()
        return {'start': self._start, 'send': self._send}[name](**fields)

    def _start(self, place, server):
        target = oslo_messaging.Target(exchange=server['exchange'], topic=server['topic'], server=server['name'])
        endpoints = [Place(place, interface, self._output) for interface in server['interfaces']]
        self._server = oslo_messaging.get_rpc_server(
            self._transport, target, endpoints, executor='threading', server_cls=Server)
        self._server.start(override_pool_size=server['concurrency'])
        return 'done'

    def _stop(self):
        if self._server is not None:
            self._server.stop()
            self._server.wait()
            self._server = None
        return 'done'

    def _send(self, number, request, nap_ms, timeout_ms, give_up_ms):
        target = oslo_messaging.Target(
            exchange=request['exchange'], topic=request['topic'], server=request['server'],
            namespace=request['namespace'], version=request['version'], fanout=request['kind'] == 'fanout')
        wait_ms = timeout_ms if give_up_ms is None else give_up_ms
        # The reference calls `mandatory` at least once.
        options = oslo_messaging.TransportOptions(at_least_once=request['mandatory'])
        client = oslo_messaging.get_rpc_client(
            self._transport, target, timeout=wait_ms / 1000, transport_options=options)
        arguments = {'number': number, 'nap_ms': nap_ms}
        try:
            if request['kind'] != 'call':
                client.cast({}, request['method'], **arguments)
                return 'done'
            return {'returned': client.call({}, request['method'], **arguments)}
        except oslo_messaging.MessagingTimeout:
            return 'timed_out' if give_up_ms is None else 'given_up'
        except oslo_messaging.MessageUndeliverable:
            return 'undeliverable'
        except oslo_messaging.RemoteError as error:
            return {'raised': {'class': error.exc_type, 'message': error.value}}
        except ValueError as error:
            # The reference appends the traceback of the other side to the text.
            return {'raised': {'class': 'ValueError', 'message': str(error).partition('\n')[0]}}


def main():
    # What fails is for the rules to judge; tracebacks are there for who looks.
    logging.basicConfig(stream=sys.stderr, level=os.environ.get('PEER_LOG', 'CRITICAL'))
    cfg.CONF([], project='actor')
    output = Output()
    actor = Actor(sys.argv[1], output)

    def do(asked):
        try:
            outcome = actor.perform(asked['command'])
        except Exception as error:  # noqa: BLE001 - every failure is for the rules to judge
            outcome = {'broken': {'error': repr(error)}}
        output.say({'outcome': {'id': asked['id'], 'outcome': outcome}})

    output.say('ready')
    for line in sys.stdin:
        # Daemons: an unanswered call must not keep the process when its listener is gone.
        threading.Thread(target=do, args=(json.loads(line),), daemon=True).start()
    # What still runs has no caller left.
    os._exit(0)


if __name__ == '__main__':
    main()
