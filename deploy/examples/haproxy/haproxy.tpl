# Written by ServiceWatcher from /etc/servicewatcher/haproxy.tpl: a change of this file is undone.
global
  user haproxy
  group haproxy
  maxconn 2000
  # of an old process, after a reload: what it still has to answer ends with it
  hard-stop-after 30s
  # the next process takes over the sockets that listen: nobody is refused during a reload
  stats socket /run/haproxy/admin.sock mode 660 level admin expose-fd listeners
  # HAProxy's own HTTP client, for Lua scripts, would read all certificates of the system at each check and reload; there are no scripts
  httpclient.ssl.verify none

defaults
  mode http
  timeout client 30s
  timeout connect 500ms
  # longest time that an answer may take: what a dead machine was asked fails after it
  timeout server 3s
  timeout queue 5s
  # clients that keep their connection are told to close it by the answer, not by a reset before they ask again
  option idle-close-on-response
  # a connection of its own for each request to a backend: one that is dead refuses it, and another gets it
  option http-server-close
  option redispatch 1
  retries 3
  retry-on conn-failure empty-response
  default-server check inter 500ms fastinter 200ms fall 2 rise 1

frontend web
  bind :80
  default_backend web

backend web
  balance roundrobin
  option httpchk GET /health
  # a backend that died over a request has not answered it: another may, unless it changes something
  http-request disable-l7-retry unless METH_GET
{{#each (sort-by (where discovery.web "role" "backend") "id")}}
  server {{id}} {{address}}:{{port}}
{{/each}}
