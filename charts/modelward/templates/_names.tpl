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
