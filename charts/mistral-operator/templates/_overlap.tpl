{{- /*
Two operators that watch one namespace would undo each other's work. What each release may do stands in roles with the
label below, so that whoever installs a second one is told. Without a cluster (helm template) nothing is found.
*/}}
{{- define "mistral-operator.watchesLabel" -}}
mistral-operator.io/watches
{{- end }}

{{- define "mistral-operator.refuseOverlap" -}}
{{- $rbac := "rbac.authorization.k8s.io/v1" }}
{{- $roles := list }}
{{- range .Values.watchNamespaces | default (list "") }}
{{- $roles = concat $roles ((lookup $rbac "Role" . "").items | default list) }}
{{- end }}
{{- /* who makes nothing outside of namespaces may not be allowed to look there */}}
{{- if or (not .Values.watchNamespaces) .Values.crds.enabled .Values.rbac.nodes .Values.rbac.aggregateClusterRoles }}
{{- $roles = concat $roles ((lookup $rbac "ClusterRole" "" "").items | default list) }}
{{- end }}
{{- range $roles }}
{{- if hasKey (.metadata.labels | default dict) (include "mistral-operator.watchesLabel" $) }}
{{- $annotations := .metadata.annotations | default dict }}
{{- $release := get $annotations "meta.helm.sh/release-name" }}
{{- $namespace := get $annotations "meta.helm.sh/release-namespace" }}
{{- if or (ne $release $.Release.Name) (ne $namespace $.Release.Namespace) }}
{{- $watched := "every namespace" }}
{{- $leftover := printf "%s %s" (lower .kind) .metadata.name }}
{{- with .metadata.namespace }}
{{- $watched = printf "namespace %s" . }}
{{- $leftover = printf "%s --namespace %s" $leftover . }}
{{- end }}
{{- list
  (printf "\n\nRelease %s in namespace %s watches %s already, and two operators would undo each other's work." $release $namespace $watched)
  "Upgrade that release, or uninstall it first (its MistralDeployments stay), or set watchNamespaces of both so that they do not meet."
  (printf "If it is gone, delete what it left: kubectl delete %s\n" $leftover)
  | join "\n" | fail }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
