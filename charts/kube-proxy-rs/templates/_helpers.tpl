{{- define "kube-proxy-rs.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "kube-proxy-rs.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "kube-proxy-rs.selectorLabels" -}}
app.kubernetes.io/name: {{ include "kube-proxy-rs.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "kube-proxy-rs.labels" -}}
{{ include "kube-proxy-rs.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "kube-proxy-rs.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "kube-proxy-rs.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name: needed without serviceAccount.create" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "kube-proxy-rs.configMap" -}}
{{- default (include "kube-proxy-rs.fullname" .) .Values.existingConfigMap -}}
{{- end -}}

{{- define "kube-proxy-rs.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ default $.Chart.AppVersion .tag }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "kube-proxy-rs.metricsBindAddress" -}}
{{- $address := .Values.config.metricsBindAddress -}}
{{- if not $address -}}
{{- $address = ternary "0.0.0.0:10249" "127.0.0.1:10249" .Values.metrics.enabled -}}
{{- else if and .Values.metrics.enabled (regexMatch "^(127\\.|\\[?::1\\]?)" $address) -}}
{{- fail (printf "config.metricsBindAddress: nobody reaches %s, which metrics.enabled is for" $address) -}}
{{- end -}}
{{- $address -}}
{{- end -}}

{{/* The port of IP:PORT, or upstream's default for a bare IP. */}}
{{- define "kube-proxy-rs.port" -}}
{{- if regexMatch "(\\]|^[^:]*):[0-9]+$" .address -}}
{{- splitList ":" .address | last -}}
{{- else -}}
{{- .default -}}
{{- end -}}
{{- end -}}

{{- define "kube-proxy-rs.healthzPort" -}}
{{- include "kube-proxy-rs.port" (dict "address" (default "0.0.0.0" .Values.config.healthzBindAddress) "default" 10256) -}}
{{- end -}}

{{- define "kube-proxy-rs.metricsPort" -}}
{{- include "kube-proxy-rs.port" (dict "address" (include "kube-proxy-rs.metricsBindAddress" .) "default" 10249) -}}
{{- end -}}

{{- define "kube-proxy-rs.probe" -}}
httpGet:
  {{- $ip := regexReplaceAll ":[0-9]+$" (default "" .root.Values.config.healthzBindAddress) "" | trimPrefix "[" | trimSuffix "]" }}
  {{- if not (has $ip (list "" "0.0.0.0" "::")) }}
  host: {{ $ip | quote }}
  {{- end }}
  path: /livez
  port: {{ include "kube-proxy-rs.healthzPort" .root }}
{{ toYaml .times }}
{{- end -}}
