"""A process that speaks the reference implementation on behalf of a test.

    peer.py URL

Reads one JSON object a line from standard input, `{"id": 1, "do": "call", ...}`, and answers each with a line on standard
output, `{"id": 1, "ok": value}` or `{"id": 1, "error": {...}}`, as soon as it is done: several may be under way. Ends, with
all its servers, at the end of input.

    serve     topic, server, exchange?                         -> the server's handle
    stop      handle
    recorded  handle, count, timeout                           -> what casts to `record` left, once there are `count`
    call      target, method, args?, context?, client?         -> the method's result
    cast      the same; with `target.fanout` to every server
    log       topic, levels: one record of each level of `logging`
    notify    topic, event_type, payload or payloads, priority or priorities?, publisher_id?, driver?, retry?, context
              or request_context?
    listen    topics, exchange?, pool?, batch?, requeue?       -> a handle; `recorded` gives the notifications
    decode    bodies                                           -> what the reference makes of each
    declare, publish, fetch                                    see peer_raw.py
    quit

`target` and `client` hold the keyword arguments of the reference's own Target and client: timeout, call_monitor_timeout,
version_cap, retry; and `at_least_once`. Every command takes `options`, options of `[oslo_messaging_rabbit]`, such as
`{"kombu_compression": "gzip"}`, which travel in the transport's URL.
"""

import itertools
import json
import logging
import os
import sys
import threading
import urllib.parse

import oslo_messaging
from oslo_config import cfg

import peer_errors
from peer_events import Listener, log, notify
from peer_raw import Raw, decode
from peer_service import Service
from peer_values import error_to_test, from_test, to_test


class Peer:
    """The commands, and what outlives a command: transports and servers."""

    def __init__(self, url):
        self._url = url
        self._lock = threading.Lock()
        self._transports = {}
        self._running = {}
        self._handles = itertools.count(1)
        raw = Raw(url)
        self._commands = {
            'serve': self._serve, 'stop': self._stop, 'recorded': self._recorded,
            'call': self._call, 'cast': self._cast, 'notify': self._notify, 'log': self._log, 'listen': self._listen,
            'decode': decode, 'declare': raw.declare, 'publish': raw.publish, 'fetch': raw.fetch,
        }

    def answer(self, request):
        """Does one command and returns the answer to it."""
        try:
            command = self._commands[request['do']]
            return {'id': request['id'], 'ok': to_test(command(request))}
        except Exception as error:  # noqa: BLE001 - every failure is the test's to judge
            return {'id': request['id'], 'error': error_to_test(error)}

    def close(self):
        for running in list(self._running.values()):
            running.stop()
        for transport in self._transports.values():
            transport.cleanup()

    def _serve(self, request):
        target = oslo_messaging.Target(
            exchange=request.get('exchange'), topic=request['topic'], server=request['server'])
        return self._keep(Service(self._transport(request), target))

    def _listen(self, request):
        targets = [oslo_messaging.Target(exchange=request.get('exchange'), topic=topic) for topic in request['topics']]
        return self._keep(Listener(self._transport(request, 'notify'), targets, request))

    def _stop(self, request):
        self._running.pop(request['handle']).stop()

    def _recorded(self, request):
        return self._running[request['handle']].recorder.wait_for(request['count'], request['timeout'])

    def _call(self, request):
        client, context, arguments = self._prepared(request)
        return client.call(context, request['method'], **arguments)

    def _cast(self, request):
        client, context, arguments = self._prepared(request)
        client.cast(context, request['method'], **arguments)

    def _notify(self, request):
        notify(self._transport(request, 'notify'), request)

    def _log(self, request):
        log(self._transport(request, 'notify'), request)

    def _prepared(self, request):
        options = dict(request.get('client', {}))
        transport_options = oslo_messaging.TransportOptions(at_least_once=options.pop('at_least_once', False))
        client = oslo_messaging.get_rpc_client(
            self._transport(request), oslo_messaging.Target(**request['target']), transport_options=transport_options,
            **options)
        return client, from_test(request.get('context', {})), from_test(request.get('args', {}))

    def _transport(self, request, kind='rpc'):
        """One transport for each combination of options, made when it is first needed."""
        options = urllib.parse.urlencode(request.get('options', {}))
        with self._lock:
            if (kind, options) not in self._transports:
                make = oslo_messaging.get_rpc_transport if kind == 'rpc' else oslo_messaging.get_notification_transport
                separator = '&' if '?' in self._url else '?'
                url = f'{self._url}{separator}{options}' if options else self._url
                # The global configuration: parts of the reference read it whatever they are given.
                self._transports[kind, options] = make(
                    cfg.CONF, url=url, allowed_remote_exmods=[peer_errors.__name__])
            return self._transports[kind, options]

    def _keep(self, running):
        handle = next(self._handles)
        self._running[handle] = running
        return handle


def main():
    # A handler that fails is what many tests ask for; its traceback would clutter their output.
    logging.basicConfig(stream=sys.stderr, level=os.environ.get('PEER_LOG', 'CRITICAL'))
    cfg.CONF([], project='peer')
    peer = Peer(sys.argv[1])
    output = threading.Lock()

    def do(request):
        answer = json.dumps(peer.answer(request), allow_nan=False)
        with output:
            print(answer, flush=True)

    for line in sys.stdin:
        request = json.loads(line)
        if request['do'] == 'quit':
            break
        # Daemons: an unanswered call must not keep the process when the test is over.
        threading.Thread(target=do, args=(request,), daemon=True).start()
    peer.close()


if __name__ == '__main__':
    main()
