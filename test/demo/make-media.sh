#!/bin/sh
# Makes test/demo/media with ffmpeg's own test sources: a counter of seconds and a tone. Needs ffmpeg and openssl.
set -eu
cd "$(dirname "$0")"
rm -rf media
mkdir -p media/a001/low media/a001/high media/b002 media/live

encode() { # seconds, size, video kbit/s, seconds a segment, then the muxer's options
    seconds=$1 size=$2 rate=$3 segment=$4
    shift 4
    ffmpeg -v error -f lavfi -i "testsrc=size=$size:rate=15" -f lavfi -i "sine=frequency=440:beep_factor=4" -t "$seconds" \
        -c:v libx264 -profile:v main -preset veryslow -b:v "${rate}k" -maxrate "${rate}k" -bufsize "$((rate * 2))k" \
        -pix_fmt yuv420p -g $((15 * segment)) -keyint_min $((15 * segment)) -sc_threshold 0 -flags +cgop \
        -c:a aac -b:a 24k -ac 1 -ar 22050 -f hls -hls_time "$segment" "$@"
}

# a001: a master playlist with two variants of MPEG-TS in folders of their own, the lower one encrypted.
openssl rand 16 > media/a001/low/enc.key
key_info=$(mktemp)
printf 'enc.key\nmedia/a001/low/enc.key\n' > "$key_info"
encode 30 160x90 40 3 -hls_playlist_type vod -hls_key_info_file "$key_info" \
    -hls_segment_filename media/a001/low/%d.ts media/a001/low/index.m3u8
rm "$key_info"
encode 30 320x180 100 3 -hls_playlist_type vod -hls_segment_filename media/a001/high/%d.ts media/a001/high/index.m3u8
cat > media/a001/index.m3u8 <<'M3U8'
#EXTM3U
#EXT-X-STREAM-INF:BANDWIDTH=130000,RESOLUTION=160x90,CODECS="avc1.4d400c,mp4a.40.2"
low/index.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=220000,RESOLUTION=320x180,CODECS="avc1.4d4015,mp4a.40.2"
high/index.m3u8
M3U8

# b002: one playlist of fragmented MP4.
encode 30 320x180 100 3 -hls_playlist_type vod -hls_segment_type fmp4 -hls_fmp4_init_filename init.mp4 \
    -hls_segment_filename media/b002/%d.m4s media/b002/index.m3u8

# live: ten segments of two seconds; live-playlist.ts moves a window over them.
encode 20 320x180 100 2 -hls_list_size 0 -hls_segment_filename media/live/%d.ts media/live/index.m3u8
rm media/live/index.m3u8

du -sk media
