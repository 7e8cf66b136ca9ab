<?php
// Broadcasts one event with Laravel's own classes, as `broadcast(new Event)` does in an application. Debian's
// php-laravel-framework and php-redis bring them.
//
// Standard input is a JSON object: driver ("redis" or "pusher"), port and prefix of Redis, event, channels (pairs of a
// kind and a name), payload, socket (the header X-Socket-ID of the request, or null) and to_others. With "pusher",
// which connects to nothing here, standard output is what Laravel hands to Pusher's library.

namespace Pusher {
    // Debian has no package of Pusher's library. What it is called with, and that it encodes the data by json_encode,
    // is all that these tests want of it.
    class ApiErrorException extends \Exception
    {
    }

    class Pusher
    {
        public function __construct()
        {
        }

        public function trigger($channels, $event, $data, array $params = [])
        {
            echo json_encode([
                'name' => $event,
                'channels' => $channels,
                'data' => json_encode($data, JSON_THROW_ON_ERROR),
            ] + $params);

            return (object) [];
        }
    }
}

namespace {
    require_once 'Illuminate/autoload.php';

    use Illuminate\Broadcasting\BroadcastManager;
    use Illuminate\Broadcasting\Channel;
    use Illuminate\Broadcasting\InteractsWithSockets;
    use Illuminate\Broadcasting\PresenceChannel;
    use Illuminate\Broadcasting\PrivateChannel;
    use Illuminate\Bus\Dispatcher as BusDispatcher;
    use Illuminate\Config\Repository;
    use Illuminate\Container\Container;
    use Illuminate\Contracts\Broadcasting\Factory;
    use Illuminate\Contracts\Broadcasting\ShouldBroadcastNow;
    use Illuminate\Contracts\Bus\Dispatcher as BusDispatcherContract;
    use Illuminate\Events\Dispatcher as EventDispatcher;
    use Illuminate\Http\Request;
    use Illuminate\Redis\RedisManager;
    use Illuminate\Support\Facades\Facade;

    // Lists and objects stay what they are, but for the payload itself, which is an array in PHP.
    $wanted = json_decode(file_get_contents('php://stdin'), false, 512, JSON_THROW_ON_ERROR);

    $app = new Container();
    Container::setInstance($app);
    Facade::setFacadeApplication($app);
    $redis = [
        'client' => 'phpredis',
        'options' => ['prefix' => $wanted->prefix],
        'default' => ['host' => '127.0.0.1', 'port' => $wanted->port],
    ];
    $app->instance('config', new Repository([
        'broadcasting' => [
            'default' => $wanted->driver,
            'connections' => [
                'redis' => ['driver' => 'redis', 'connection' => 'default'],
                'pusher' => ['driver' => 'pusher', 'key' => '', 'secret' => '', 'app_id' => ''],
            ],
        ],
        'database' => ['redis' => $redis],
    ]));
    $app->instance('redis', new RedisManager($app, 'phpredis', $redis));
    $app->instance('events', new EventDispatcher($app));
    $app->instance(BusDispatcherContract::class, new BusDispatcher($app));
    $app->instance(Factory::class, new BroadcastManager($app));
    $request = Request::create('/orders', 'POST');
    if ($wanted->socket !== null) {
        $request->headers->set('X-Socket-ID', $wanted->socket);
    }
    $app->instance('request', $request);

    $event = new class ($wanted) implements ShouldBroadcastNow {
        use InteractsWithSockets;

        public function __construct(private object $wanted)
        {
        }

        public function broadcastAs(): string
        {
            return $this->wanted->event;
        }

        public function broadcastOn(): array
        {
            return array_map(fn (array $channel) => match ($channel[0]) {
                'public' => new Channel($channel[1]),
                'private' => new PrivateChannel($channel[1]),
                'presence' => new PresenceChannel($channel[1]),
            }, $this->wanted->channels);
        }

        public function broadcastWith(): array
        {
            return (array) $this->wanted->payload;
        }
    };

    // What the helper broadcast() returns; it broadcasts when it is destructed.
    $pending = $app->make(Factory::class)->event($event);
    if ($wanted->to_others) {
        $pending->toOthers();
    }
}
