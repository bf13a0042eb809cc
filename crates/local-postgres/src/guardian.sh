# Runs a server, and stops it when the pipe on standard input ends, which it does when the owner stops the server or
# dies, however it dies. The first argument says how many seconds each kind of signal has; the others are the server's
# command. The first line of output is the server's process id.

# The owner decides when the server stops, not a signal sent to everything around.
trap '' HUP INT TERM
exec 3<&0 </dev/null
patience=$1
shift

"$@" </dev/null >&2 3<&- &
server=$!
echo "$server"
exec >&2

(
    while read -r _ <&3; do :; done
    seconds=0
    # A signal that comes before the server is ready for it is lost, so it is repeated.
    while kill -0 "$server" 2>/dev/null; do
        if [ "$seconds" -lt "$patience" ]; then
            signal=INT
        elif [ "$seconds" -lt $((2 * patience)) ]; then
            signal=QUIT
        else
            signal=KILL
        fi
        kill -s "$signal" "$server" 2>/dev/null
        sleep 1
        seconds=$((seconds + 1))
    done
) &
watcher=$!
exec 3<&-

wait "$server"
status=$?
kill -s KILL "$watcher"
exit "$status"
