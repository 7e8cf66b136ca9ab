<?php
// Broadcasts one event with Laravel's own classes, as a Laravel application does: the reference for this crate's
// drivers. Debian's php-laravel-framework and php-redis bring them.
//
// Standard input is a JSON object: driver ("log", "file" or "redis"), event, channels (pairs of a kind and a name),
// payload, socket (or null) and, for redis, port and prefix. What the driver "log" logs goes to standard output; with
// "file", to the log file of an application (path) in an environment of this name (environment).

require_once 'Illuminate/autoload.php';

use Illuminate\Broadcasting\BroadcastEvent;
use Illuminate\Broadcasting\Broadcasters\LogBroadcaster;
use Illuminate\Broadcasting\Broadcasters\RedisBroadcaster;
use Illuminate\Broadcasting\Channel;
use Illuminate\Broadcasting\EncryptedPrivateChannel;
use Illuminate\Broadcasting\PresenceChannel;
use Illuminate\Broadcasting\PrivateChannel;
use Illuminate\Config\Repository;
use Illuminate\Container\Container;
use Illuminate\Contracts\Broadcasting\Factory;
use Illuminate\Events\Dispatcher;
use Illuminate\Log\LogManager;
use Illuminate\Redis\RedisManager;
use Psr\Log\AbstractLogger;

// Lists and objects stay what they are, but for the payload itself, which is an array in PHP.
$wanted = json_decode(file_get_contents('php://stdin'), false, 512, JSON_THROW_ON_ERROR);

$event = new class ($wanted) {
    public ?string $socket;

    public function __construct(private object $wanted)
    {
        $this->socket = $wanted->socket;
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
            'encrypted' => new EncryptedPrivateChannel($channel[1]),
        }, $this->wanted->channels);
    }

    public function broadcastWith(): array
    {
        return (array) $this->wanted->payload;
    }
};

// Laravel's own log, as config/logging.php sets up the channel "single".
function log_of_application(object $wanted): LogManager
{
    $app = new class ($wanted->environment) extends Container {
        public function __construct(private string $environment)
        {
        }

        public function environment(): string
        {
            return $this->environment;
        }

        public function runningUnitTests(): bool
        {
            return false;
        }
    };
    $app['env'] = $wanted->environment;
    $app['events'] = new Dispatcher($app);
    $app['config'] = new Repository(['logging' => [
        'default' => 'single',
        'channels' => ['single' => ['driver' => 'single', 'path' => $wanted->path, 'level' => 'debug']],
    ]]);
    // As config/app.php has it.
    date_default_timezone_set('UTC');
    return new LogManager($app);
}

$broadcaster = match ($wanted->driver) {
    'log' => new LogBroadcaster(new class extends AbstractLogger {
        public function log($level, $message, array $context = []): void
        {
            echo "$level: $message\n";
        }
    }),
    'file' => new LogBroadcaster(log_of_application($wanted)),
    'redis' => new RedisBroadcaster(
        new RedisManager(null, 'phpredis', ['default' => ['host' => '127.0.0.1', 'port' => $wanted->port]]),
        null,
        $wanted->prefix,
    ),
};

(new BroadcastEvent($event))->handle(new class ($broadcaster) implements Factory {
    public function __construct(private object $broadcaster)
    {
    }

    public function connection($name = null)
    {
        return $this->broadcaster;
    }
});
