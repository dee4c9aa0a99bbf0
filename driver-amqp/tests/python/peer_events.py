"""What the peer does with notifications: a notifier of either format, and a listener that keeps what it hears."""

import logging
import threading

import oslo_messaging
from oslo_context import context as request_context

from peer_service import Recorder
from peer_values import from_test

PRIORITIES = ('audit', 'debug', 'info', 'warn', 'error', 'critical', 'sample')


class Listener:
    """A notification listener that keeps whatever it hears, one by one or in batches.

    With `requeue` it gives the first so many events back before it keeps one.
    """

    def __init__(self, transport, targets, request):
        self.recorder = Recorder()
        self._requeue = request.get('requeue', 0)
        self._lock = threading.Lock()
        batch = request.get('batch')
        for priority in PRIORITIES:
            setattr(self, priority, self._hear_batch(priority) if batch else self._hear(priority))
        options = {'executor': 'threading', 'pool': request.get('pool'), 'allow_requeue': self._requeue > 0}
        if batch:
            self._listener = oslo_messaging.get_batch_notification_listener(
                transport, targets, [self], batch_size=batch['size'], batch_timeout=batch['timeout'], **options)
        else:
            self._listener = oslo_messaging.get_notification_listener(transport, targets, [self], **options)
        self._listener.start()

    def _hear(self, priority):
        def hear(ctxt, publisher_id, event_type, payload, metadata):
            if self._gives_back():
                return oslo_messaging.NotificationResult.REQUEUE
            self.recorder.add({
                'priority': priority, 'context': ctxt, 'publisher_id': publisher_id, 'event_type': event_type,
                'payload': payload, 'metadata': metadata})
        return hear

    def _hear_batch(self, priority):
        def hear(messages):
            self.recorder.add({
                'priority': priority, 'payloads': [message['payload'] for message in messages],
                'contexts': [message['ctxt'] for message in messages]})
        return hear

    def _gives_back(self):
        with self._lock:
            self._requeue -= 1
            return self._requeue >= 0

    def stop(self):
        self._listener.stop()
        self._listener.wait()


def notify(transport, request):
    """Publishes `request['payload']`, or each of `request['payloads']`, at each of the priorities that are asked for."""
    notifier = oslo_messaging.Notifier(
        transport, publisher_id=request.get('publisher_id', 'peer'), driver=request.get('driver', 'messaging'),
        topics=[request['topic']], retry=request.get('retry', 0))
    if 'request_context' in request:
        context = request_context.RequestContext(**request['request_context'])
    else:
        context = from_test(request.get('context', {}))
    for payload in request.get('payloads', [request.get('payload')]):
        for priority in request.get('priorities', [request.get('priority', 'info')]):
            getattr(notifier, priority)(context, request['event_type'], from_test(payload))


def log(transport, request):
    """Logs one record of each level through the handler that publishes them."""
    # The handler's own constructor makes a transport of the global configuration.
    handler = oslo_messaging.LoggingNotificationHandler.__new__(oslo_messaging.LoggingNotificationHandler)
    logging.Handler.__init__(handler)
    handler.notifier = oslo_messaging.Notifier(
        transport, publisher_id='shop.python', driver='messagingv2', topics=[request['topic']], retry=0)
    logger = logging.Logger('shop.python')
    logger.addHandler(handler)
    for level in request['levels']:
        logger.log(getattr(logging, level), 'it %s again', 'failed')
