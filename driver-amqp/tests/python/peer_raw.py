"""The broker without the reference on top: declaring, publishing and fetching single messages, and decoding bodies."""

import base64

import kombu
import kombu.message
from oslo_messaging._drivers import common
from oslo_serialization import jsonutils

import peer_errors
from peer_values import error_to_test, to_test


class Raw:
    """Each operation on a connection of its own, so that one the broker refuses harms no other."""

    def __init__(self, url):
        self._url, _, options = url.replace('rabbit://', 'amqp://', 1).partition('?')
        # The options that the reference has for its queues hold for those that are declared without it.
        self._durable = 'amqp_durable_queues=true' in options

    def declare(self, request):
        """Declares a queue, and if an exchange is given, that too and the binding."""
        with kombu.Connection(self._url) as connection:
            exchange = kombu.Exchange(
                request.get('exchange', ''), type=request.get('type', 'topic'),
                durable=request.get('durable', self._durable), auto_delete=request.get('auto_delete', False))
            kombu.Queue(
                request['queue'], exchange=exchange, routing_key=request.get('routing_key', request['queue']),
                durable=request.get('durable', self._durable), auto_delete=request.get('auto_delete', False),
                queue_arguments=request.get('arguments')).declare(channel=connection.default_channel)

    def publish(self, request):
        """Publishes a body exactly as given, in the properties given."""
        with kombu.Connection(self._url) as connection:
            connection.Producer().publish(
                _body(request), exchange=request.get('exchange', ''), routing_key=request['routing_key'],
                content_type=request.get('content_type', 'application/json'),
                content_encoding=request.get('content_encoding', 'utf-8'),
                headers=request.get('headers', {}), **request.get('properties', {}))

    def fetch(self, request):
        """Takes one message out of a queue, without decoding it; `None` if there is none within the timeout."""
        with kombu.Connection(self._url) as connection:
            # Below kombu, which would decompress the body. Acknowledged, because only then prefetching has a limit.
            channel, taken = connection.default_channel, []
            channel.basic_qos(prefetch_size=0, prefetch_count=1, a_global=False)
            channel.basic_consume(request['queue'], callback=taken.append)
            try:
                connection.drain_events(timeout=request.get('timeout', 5))
            except TimeoutError:
                return None
            message = taken[0]
            channel.basic_ack(message.delivery_tag)
            properties = dict(message.properties)
            return {
                'base64': base64.b64encode(_bytes(message.body)).decode(),
                'headers': properties.pop('application_headers', {}),
                'content_type': properties.pop('content_type', None),
                'content_encoding': properties.pop('content_encoding', None),
                'properties': properties, 'delivery': message.delivery_info,
            }


def decode(request):
    """The value in each body, taken through the reference's own steps from the wire to the receiver.

    Of a reply with a failure also the exception that the reference would raise at the caller.
    """
    return [_decode_one(body) for body in request['bodies']]


def _decode_one(described):
    described = described if isinstance(described, dict) else {'body': described}
    try:
        message = kombu.message.Message(
            body=_body(described), content_type=described.get('content_type', 'application/json'),
            content_encoding=described.get('content_encoding', 'utf-8'), headers=described.get('headers', {}),
            accept=['application/json'])
        # What a consumer does before it looks at the payload; a body that is not compressed as announced ends here.
        if message.errors:
            message._reraise_error()
        value = common.deserialize_msg(message.payload)
        if isinstance(value, dict) and value.get('failure'):
            failure = common.deserialize_remote_exception(value['failure'], [peer_errors.__name__])
            return {
                'value': to_test(value), 'failure': error_to_test(failure),
                'serialized': jsonutils.loads(value['failure'])}
        return {'value': to_test(value)}
    except Exception as error:  # noqa: BLE001 - whatever the reference cannot read is an answer here
        return {'error': error_to_test(error)}


def _body(request):
    return base64.b64decode(request['base64']) if 'base64' in request else request['body'].encode()


def _bytes(body):
    return body if isinstance(body, bytes) else bytes(body, 'utf-8') if isinstance(body, str) else bytes(body)
