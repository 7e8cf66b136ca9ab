<?php
// Checks webhooks and triggers events with PHP's own HMAC and HTTP, as Pusher's server library for PHP does. Of a webhook
// the key and the signature over the raw body are checked first, then the body's JSON.
//
// The environment variable CLIENT_TEST holds the server under test: {"host", "port", "tls", "app": {"id", "key", "secret"}}.
// Each line of standard input is a call, {"method": "webhook", "arguments": [key, signature, body]} or
// {"method": "trigger", "arguments": [channel, event, data]}; each is answered by a line {"result": <the decoded body, or
// null where the check fails>} or {"error": "401 …"}.

$settings = json_decode(getenv('CLIENT_TEST'), false, 512, JSON_THROW_ON_ERROR);

function trigger(object $settings, string $channel, string $event, mixed $data): object
{
    $app = $settings->app;
    $data = json_encode($data, JSON_THROW_ON_ERROR);
    $body = json_encode(['name' => $event, 'channel' => $channel, 'data' => $data], JSON_THROW_ON_ERROR);
    $path = "/apps/{$app->id}/events";
    $query = http_build_query([
        'auth_key' => $app->key,
        'auth_timestamp' => time(),
        'auth_version' => '1.0',
        'body_md5' => md5($body),
    ]);
    $signature = hash_hmac('sha256', "POST\n{$path}\n{$query}", $app->secret);
    $scheme = $settings->tls ? 'https' : 'http';
    $url = "{$scheme}://{$settings->host}:{$settings->port}{$path}?{$query}&auth_signature={$signature}";
    $context = stream_context_create([
        'http' => [
            'method' => 'POST',
            'header' => 'Content-Type: application/json',
            'content' => $body,
            'ignore_errors' => true,
            'timeout' => 20,
        ],
        'ssl' => ['cafile' => getenv('SSL_CERT_FILE') ?: null],
    ]);
    $answer = file_get_contents($url, false, $context);
    $status = $http_response_header[0] ?? 'no answer';
    if (!str_contains($status, ' 200 ')) {
        throw new RuntimeException("{$status}: {$answer}");
    }
    return json_decode($answer, false, 512, JSON_THROW_ON_ERROR);
}

function webhook(object $settings, string $key, string $signature, string $body): ?object
{
    $app = $settings->app;
    $expected = hash_hmac('sha256', $body, $app->secret);
    if ($key !== $app->key || !hash_equals($expected, $signature)) {
        return null;
    }
    return json_decode($body, false, 512, JSON_THROW_ON_ERROR);
}

while (($line = fgets(STDIN)) !== false) {
    $call = json_decode($line, false, 512, JSON_THROW_ON_ERROR);
    $call_it = match ($call->method) {
        'webhook' => webhook(...),
        'trigger' => trigger(...),
    };
    try {
        $answer = ['result' => $call_it($settings, ...$call->arguments)];
    } catch (RuntimeException $error) {
        $answer = ['error' => $error->getMessage()];
    }
    echo json_encode($answer, JSON_UNESCAPED_UNICODE | JSON_THROW_ON_ERROR), "\n";
}
