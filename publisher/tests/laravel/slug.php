<?php
// Reads a JSON list of names and answers with the list of their slugs.

require_once 'Illuminate/autoload.php';

use Illuminate\Support\Str;

$names = json_decode(file_get_contents('php://stdin'), true, 512, JSON_THROW_ON_ERROR);
echo json_encode(array_map([Str::class, 'slug'], $names), JSON_THROW_ON_ERROR);
