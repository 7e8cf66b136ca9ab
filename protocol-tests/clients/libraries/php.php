<?php
// Checks webhooks with PHP's own HMAC, as Pusher's server library for PHP does: the key and the signature over the raw
// body first, then the body's JSON.
//
// The environment variable CLIENT_TEST holds the server under test: {"app": {"key", "secret"}}. Each line of standard
// input is a call, {"method": "webhook", "arguments": [key, signature, body]}; each is answered by a line
// {"result": <the decoded body, or null where the check fails>}.

$app = json_decode(getenv('CLIENT_TEST'), false, 512, JSON_THROW_ON_ERROR)->app;

function webhook(object $app, string $key, string $signature, string $body): ?object
{
    $expected = hash_hmac('sha256', $body, $app->secret);
    if ($key !== $app->key || !hash_equals($expected, $signature)) {
        return null;
    }
    return json_decode($body, false, 512, JSON_THROW_ON_ERROR);
}

while (($line = fgets(STDIN)) !== false) {
    $call = json_decode($line, false, 512, JSON_THROW_ON_ERROR);
    $result = webhook($app, ...$call->arguments);
    echo json_encode(['result' => $result], JSON_UNESCAPED_UNICODE | JSON_THROW_ON_ERROR), "\n";
}
