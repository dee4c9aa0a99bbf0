"""An actor of generated programs that speaks the reference implementation.

    actor.py URL

Reads what it is to do from standard input and writes what happens to standard output, a JSON object a line, as
`oslo_messaging_conformance::programs::Foreign` says. Several commands may be under way at once; a command that ends in
an error it was not asked for is answered `{"broken": {"error": ..}}`. Ends at the end of input.

    start     place, server: {exchange, topic, name, interfaces: [{namespace, version}], concurrency}
    stop      -> when the server or the listener has ended
    tell      -> when everything was said that happened before
    send      number, request: {kind, exchange, topic, server, namespace, version, method, mandatory}, nap_ms,
              timeout_ms, give_up_ms
    listen    exchange, topics, priorities, pool, event_type, publisher_id, batch, batch_timeout_ms, concurrency,
              allow_requeue
    notify    exchange, topic, priority, publisher_id, event_type, payload, context, allowed, driver

A server acknowledges before it handles, whatever `at_least_once` of its description says: the reference knows nothing
else. A cast cannot be given up, and a call is given up by its timeout. To kill the server, kill the process.

A listener reports each call of its endpoint, `{"heard": {id, events: [..]}}`, and waits for its result:
`{"answer": {"id": id, "answer": "handled"}}`, or "requeued", or "failed".
"""

import functools
import itertools
import json
import logging
import os
import sys
import threading
import time

import oslo_messaging
from oslo_config import cfg
from oslo_messaging import transport as msg_transport
from oslo_messaging.notify import dispatcher as notify_dispatcher
from oslo_messaging.notify import listener as notify_listener
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


class Asking:
    """Reports the calls of an endpoint, and hands each answer to the thread that waits for it."""

    def __init__(self, output):
        self._output = output
        self._ids = itertools.count(1)
        self._waiting = {}

    def ask(self, events):
        number, answered = next(self._ids), threading.Event()
        self._waiting[number] = [answered, None]
        self._output.say({'heard': {'id': number, 'events': events}})
        answered.wait()
        return self._waiting.pop(number)[1]

    def answer(self, id, answer):
        waiting = self._waiting[id]
        waiting[1] = answer
        waiting[0].set()


class Raised(Exception):
    """The failure of an endpoint."""


class Endpoint:
    """The endpoint of a listener. It reports each call and returns what the answer says."""

    def __init__(self, asking, listen):
        self._asking = asking
        if listen['event_type'] is not None or listen['publisher_id'] is not None:
            self.filter_rule = oslo_messaging.NotificationFilter(
                event_type=listen['event_type'], publisher_id=listen['publisher_id'])
        call = self._hear_one if listen['batch'] is None else self._hear
        for priority in listen['priorities']:
            setattr(self, priority, functools.partial(call, priority))

    def _hear_one(self, priority, ctxt, publisher_id, event_type, payload, metadata):
        return self._hear(priority, [{
            'ctxt': ctxt, 'publisher_id': publisher_id, 'event_type': event_type, 'payload': payload,
            'metadata': metadata}])

    def _hear(self, priority, messages):
        for message in messages:
            # The listener adds the timeout of requests, which events do not have.
            if message['ctxt'].get('client_timeout', False) is None:
                del message['ctxt']['client_timeout']
        answer = self._asking.ask([{
            'priority': priority, 'publisher_id': message['publisher_id'], 'event_type': message['event_type'],
            'payload': message['payload'], 'context': message['ctxt'],
            'message_id': message['metadata']['message_id'], 'redelivered': message['metadata']['redelivered'],
        } for message in messages])
        if answer == 'failed':
            raise Raised()
        if answer == 'requeued':
            return oslo_messaging.NotificationResult.REQUEUE
        return oslo_messaging.NotificationResult.HANDLED


class Marked:
    """A dispatcher that adds to the metadata whether the event was redelivered."""

    def _extract_user_message(self, incoming):
        priority, raw, message = super()._extract_user_message(incoming)
        message['metadata']['redelivered'] = incoming.message._raw_message.delivery_info['redelivered']
        return priority, raw, message


class Dispatcher(Marked, notify_dispatcher.NotificationDispatcher):
    pass


class BatchDispatcher(Marked, notify_dispatcher.BatchNotificationDispatcher):
    pass


class Exchange(msg_transport.NotificationTransport):
    """Publishes to one exchange and keeps the error, which a notifier only logs."""

    def __init__(self, transport, exchange):
        super().__init__(transport._driver)
        self.error = None
        self._exchange = exchange

    def _send_notification(self, target, ctxt, message, version, retry=None):
        try:
            super()._send_notification(target(exchange=self._exchange), ctxt, message, version, retry)
        except Exception as error:
            self.error = error
            raise


class Context:
    """The context of an event, in the part of `oslo.context` that a notifier uses."""

    def __init__(self, values, allowed):
        self._values = values
        self._allowed = allowed

    def redacted_copy(self):
        return {name: value for name, value in self._values.items() if name in self._allowed}


class Actor:
    """A transport for requests and one for events, and at most one server or listener."""

    def __init__(self, url, output, asking):
        self._output = output
        self._asking = asking
        # The global configuration: parts of the reference read it whatever they are given.
        self._transport = oslo_messaging.get_rpc_transport(cfg.CONF, url=url)
        self._notifications = oslo_messaging.get_notification_transport(cfg.CONF, url=url)
        self._server = None

    def perform(self, command):
        """Does one command and returns how it ended."""
        if command == 'tell':
            # What was said before is on its way before the answer is.
            return 'done'
        if command == 'stop':
            return self._stop()
        [(name, fields)] = command.items()
        does = {'start': self._start, 'send': self._send, 'listen': self._listen, 'notify': self._notify}
        return does[name](**fields)

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

    def _listen(self, **listen):
        targets = [oslo_messaging.Target(exchange=listen['exchange'], topic=topic) for topic in listen['topics']]
        endpoints = [Endpoint(self._asking, listen)]
        options = {'executor': 'threading', 'allow_requeue': listen['allow_requeue'], 'pool': listen['pool']}
        # What `get_notification_listener` and `get_batch_notification_listener` return, with another dispatcher.
        if listen['batch'] is None:
            self._server = notify_listener.NotificationServer(
                self._notifications, targets, Dispatcher(endpoints, None), **options)
        else:
            self._server = notify_listener.BatchNotificationServer(
                self._notifications, targets, BatchDispatcher(endpoints, None), **options,
                batch_size=listen['batch'], batch_timeout=listen['batch_timeout_ms'] / 1000)
        self._server.start(override_pool_size=listen['concurrency'])
        return 'done'

    def _notify(self, exchange, topic, priority, publisher_id, event_type, payload, context, allowed, driver):
        transport = Exchange(self._notifications, exchange)
        # The reference publishes with confirms. Without retries, an error is visible.
        notifier = oslo_messaging.Notifier(
            transport, publisher_id=publisher_id, driver=driver, topics=[topic], retry=0)
        getattr(notifier, priority)(Context(context, allowed), event_type, payload)
        if transport.error is not None:
            raise transport.error
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
    asking = Asking(output)
    actor = Actor(sys.argv[1], output, asking)

    def do(asked):
        try:
            outcome = actor.perform(asked['command'])
        except Exception as error:  # noqa: BLE001 - every failure is for the rules to judge
            outcome = {'broken': {'error': repr(error)}}
        output.say({'outcome': {'id': asked['id'], 'outcome': outcome}})

    output.say('ready')
    for line in sys.stdin:
        said = json.loads(line)
        if 'answer' in said:
            asking.answer(**said['answer'])
        else:
            # Daemons: an unanswered call must not keep the process when its listener is gone.
            threading.Thread(target=do, args=(said,), daemon=True).start()
    # What still runs has no caller left.
    os._exit(0)


if __name__ == '__main__':
    main()
