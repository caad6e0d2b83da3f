{{- define "modelward.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 63 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "modelward.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "modelward.name" .) }}
{{- end }}

{{- define "modelward.selector" -}}
app.kubernetes.io/name: modelward
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "modelward.labels" -}}
{{ include "modelward.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- /* The storage of audit records that is chosen, as one word; empty when there is none. */ -}}
{{- define "modelward.auditStorage" -}}
{{- $export := .Values.audit.export -}}
{{- $chosen := list -}}
{{- if $export.directory.enabled }}{{ $chosen = append $chosen "directory" }}{{ end -}}
{{- if $export.s3 }}{{ $chosen = append $chosen "s3" }}{{ end -}}
{{- if $export.postgres }}{{ $chosen = append $chosen "postgres" }}{{ end -}}
{{- if gt (len $chosen) 1 }}{{ fail (printf "audit.export: choose one storage; %s are given" (join " and " $chosen)) }}{{ end -}}
{{- if and $export.directory.enabled (gt (int .Values.replicas) 1) (ne $export.directory.accessMode "ReadWriteMany") -}}
{{- fail "audit.export.directory: replicas above 1 need accessMode ReadWriteMany, since every replica mounts the volume" -}}
{{- end -}}
{{- join "" $chosen -}}
{{- end }}

{{/* The time between two looks for unregistered workloads, in seconds; 0: never. */}}
{{- define "modelward.discoverySeconds" -}}
{{- $interval := .Values.discovery.interval -}}
{{- $seconds := dict "s" 1 "m" 60 "h" 3600 -}}
{{- if .Values.discovery.enabled -}}
{{- mul (trimAll "smh" $interval | int) (get $seconds (regexFind "[smh]$" $interval)) -}}
{{- else -}}
0
{{- end -}}
{{- end }}
