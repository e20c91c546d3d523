{{- /*
Two operators that watch one namespace would undo each other's work. What each release may do stands in roles with the
label below, so that whoever installs a second one is told. Without a cluster (helm template) nothing is found.
*/}}
{{- define "mistral-operator.watchesLabel" -}}
mistral-operator.io/watches
{{- end }}

{{- define "mistral-operator.refuseOverlap" -}}
{{- $rbac := "rbac.authorization.k8s.io/v1" }}
{{- $watching := list }}
{{- if .Values.watchNamespaces }}
{{- range .Values.watchNamespaces }}
{{- $watching = concat $watching ((lookup $rbac "Role" . "").items | default list) }}
{{- end }}
{{- else }}
{{- $watching = concat $watching ((lookup $rbac "Role" "" "").items | default list) }}
{{- end }}
{{- /* who makes nothing outside namespaces may not be allowed to look there */}}
{{- if or (not .Values.watchNamespaces) .Values.crds.enabled .Values.rbac.nodes .Values.rbac.aggregateClusterRoles }}
{{- $watching = concat $watching ((lookup $rbac "ClusterRole" "" "").items | default list) }}
{{- end }}
{{- range $watching }}
{{- $annotations := .metadata.annotations | default dict }}
{{- $release := get $annotations "meta.helm.sh/release-name" }}
{{- $namespace := get $annotations "meta.helm.sh/release-namespace" }}
{{- if and (hasKey (.metadata.labels | default dict) (include "mistral-operator.watchesLabel" $)) (not (and (eq $release $.Release.Name) (eq $namespace $.Release.Namespace))) }}
{{- fail (printf "\n\nRelease %s in namespace %s watches %s already, and two operators would undo each other's work.\nUpgrade that release, or uninstall it first (its MistralDeployments stay), or set watchNamespaces of both so that they do not meet.\nIf it is gone, delete what it left: kubectl delete %s %s%s\n" $release $namespace (ternary (printf "namespace %s" .metadata.namespace) "every namespace" (hasKey .metadata "namespace")) (lower .kind) .metadata.name (ternary (printf " --namespace %s" .metadata.namespace) "" (hasKey .metadata "namespace"))) }}
{{- end }}
{{- end }}
{{- end }}
