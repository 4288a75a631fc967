<?php
/*
 * A small middleware for a siege: `PHP_CLI_SERVER_WORKERS=4 php -S 127.0.0.1:PORT backend.php`. It admits tokens that
 * begin with "good", unless the file in SIEGE_REVOKED names them, takes 100 to 150 ms, and has the weaknesses that
 * scripts have: some words in a query break it.
 */
usleep(random_int(100_000, 150_000));
$token = $_GET['token'] ?? '';
$do = $_GET['do'] ?? '';
if ($do === 'hang') sleep(8);
if ($do === '500' || (getenv('SIEGE_BARE') === '500' && !isset($_GET['token']))) {
    http_response_code(500);
    exit;
}
$revoked = explode("\n", (string) @file_get_contents(getenv('SIEGE_REVOKED')));
$isGood = str_starts_with($token, 'good') && !in_array($token, $revoked, true);
http_response_code($isGood ? 200 : 403);
