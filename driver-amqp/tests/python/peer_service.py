"""The service that Rust clients call: one endpoint without a namespace, one in `ns`, with the same methods."""

import datetime
import threading
import time
import uuid

import oslo_messaging

import peer_errors


class Recorder:
    """What casts have left behind, for as long as the server lives."""

    def __init__(self):
        self._changed = threading.Condition()
        self._recorded = []

    def add(self, value):
        with self._changed:
            self._recorded.append(value)
            self._changed.notify_all()

    def recorded(self):
        with self._changed:
            return list(self._recorded)

    def wait_for(self, count, timeout):
        """Everything recorded, once it is `count` values; what there is, after `timeout` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._recorded) >= count, timeout)
            return list(self._recorded)


class Methods:
    """What both endpoints answer."""

    def __init__(self, name, recorder):
        self._name = name
        self._recorder = recorder

    def echo(self, ctxt, arg):
        return arg

    def repr(self, ctxt, arg):
        return repr(arg)

    def add(self, ctxt, a, b):
        return a + b

    def reboot(self, ctxt, id, hard=False):
        return ['hard' if hard else 'soft', id]

    def nothing(self, ctxt):
        return None

    def falsy(self, ctxt, kind):
        return {'zero': 0, 'text': '', 'list': [], 'object': {}, 'false': False}[kind]

    def fail(self, ctxt, message):
        raise ValueError(message)

    @oslo_messaging.expected_exceptions(KeyError)
    def expected(self, ctxt, message):
        raise KeyError(message)

    def custom(self, ctxt):
        raise peer_errors.Refused('no room', 507, shelf=3, reason='full')

    def slow(self, ctxt, secs):
        time.sleep(secs)
        return secs

    def types(self, ctxt):
        return {
            'datetime': datetime.datetime(2024, 2, 29, 12, 30, 45, 678901),
            'uuid': uuid.UUID('12345678-1234-5678-1234-567812345678'),
            'bytes': 'grün'.encode(),
            'tuple': (1, 'two', None),
            'set': {7},
            'keys': {1: 'int', None: 'none'},
        }

    def nan(self, ctxt):
        return [float('nan'), float('inf'), float('-inf')]

    def big(self, ctxt):
        return 2**100

    def surrogate(self, ctxt):
        return '\ud800x'

    def large(self, ctxt, size):
        return 'x' * size

    def context(self, ctxt):
        return ctxt

    def whoami(self, ctxt):
        return self._name

    def interface(self, ctxt):
        return [self.target.namespace, self.target.version]

    def record(self, ctxt, n):
        self._recorder.add(n)
        return self._name

    def recorded(self, ctxt):
        return self._recorder.recorded()


class Plain(Methods):
    """Without a namespace. Version 1.1: a client that asks for 1.2 or 2.0 is refused."""

    target = oslo_messaging.Target(version='1.1')


class Namespaced(Methods):
    """In a namespace and of another version."""

    target = oslo_messaging.Target(namespace='ns', version='1.3')


class Service:
    """A running server with both endpoints."""

    def __init__(self, transport, target):
        self.recorder = Recorder()
        endpoints = [cls(target.server, self.recorder) for cls in (Plain, Namespaced)]
        self._server = oslo_messaging.get_rpc_server(transport, target, endpoints, executor='threading')
        self._server.start()

    def stop(self):
        self._server.stop()
        self._server.wait()
