# Written by ServiceWatcher, of the brokers that are registered as mqtt. Change the template instead.
listener 0 /run/mosquitto-mesh/socket
log_dest stderr
log_type error
log_type warning
{{#each (sort-by discovery.mqtt "id")}}
{{#unless (eq host @root.host)}}

connection {{id}}
address {{address}}:{{port}}
local_clientid to-{{id}}
remote_clientid mesh-{{@root.host}}
notifications false
restart_timeout 1
topic # out 1 "" there/
{{/unless}}
{{/each}}

# what clients of this host's broker publish below here/; the broker keeps it while this process is restarted.
# The last one, so that those who are to get it are known before it comes.
connection here
address 127.0.0.1:1883
remote_clientid mesh
cleansession false
notifications false
restart_timeout 1
topic # in 1 "" here/
