{{- /* The port of a URL: the one that it names, or the scheme's. */ -}}
{{- define "modelward.portOf" -}}
{{- $host := get (urlParse .) "host" -}}
{{- $named := regexFind ":[0-9]+$" $host | trimPrefix ":" -}}
{{- $named | default (hasPrefix "https://" . | ternary "443" "80") -}}
{{- end }}

{{- /* What the operator speaks to besides the API server and the pods of Models, as a JSON list of port and what for. */ -}}
{{- define "modelward.endpoints" -}}
{{- $found := list -}}
{{- range .Values.metrics.prometheusSources }}
{{- $found = append $found (dict "what" (printf "The Prometheus %s." .name) "port" (include "modelward.portOf" .url | int)) -}}
{{- end }}
{{- with .Values.audit.export.s3 }}
{{- $found = append $found (dict "what" "The object storage of audit records." "port" (include "modelward.portOf" .endpoint | int)) -}}
{{- end }}
{{- with .Values.audit.export.postgres }}
{{- $found = append $found (dict "what" "The PostgreSQL of audit records." "port" (.port | default 5432 | int)) -}}
{{- end }}
{{- range (.Values.notifications | default dict).webhooks }}
{{- $found = append $found (dict "what" (printf "The webhook %s." .name) "port" (include "modelward.portOf" .url | int)) -}}
{{- end }}
{{- $found | toJson -}}
{{- end }}

{{- /* Labels of monitoring objects: the chart's, and those by which a Prometheus chooses what it reads. */ -}}
{{- define "modelward.monitoringLabels" -}}
{{ include "modelward.labels" .chart }}
{{- with .more }}
{{ toYaml . }}
{{- end }}
{{- end }}
