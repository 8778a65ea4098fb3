# The image has neither curl nor wget: bash asks by itself. /readyz wants no key.
exec 3<> /dev/tcp/127.0.0.1/6333
printf 'GET /readyz HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3
read -r line <&3
[[ "$line" == *" 200 "* ]]
