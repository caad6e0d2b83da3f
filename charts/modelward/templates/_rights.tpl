{{- /* Every verb is one that the end-to-end tests have seen the operator use: `make e2e` compares this with the API server's audit log.
What the operator reads of its own kinds, and what it writes: status, and the finalizer of a Model whose traffic must be
drained. It has no right to create or delete any of them, audit records aside: it writes them, and deletes what is exported. */ -}}
{{- define "modelward.rightsInNamespaces" -}}
- apiGroups: [modelward.dev]
  resources: [models, modelversions, modelevaluations, modelapprovals]
  verbs: [list, watch]
- apiGroups: [modelward.dev]
  resources: [models]            # read anew before each decision; patch of metadata.finalizers
  verbs: [get, patch]
- apiGroups: [modelward.dev]
  resources: [models/status, modelversions/status]
  verbs: [update]
- apiGroups: [modelward.dev]
  resources: [modelauditrecords]
  verbs: [get, list, watch, create, delete]
# The children of a Model.
- apiGroups: [apps]
  resources: [deployments]
  verbs: [list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [services]          # get: has somebody else a Service of the name?
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes]        # list and watch of all of them: conflicts of hostname and path
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [apps]
  resources: [controllerrevisions]
  verbs: [list, create, delete]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [create, patch, delete]
# Read only.
- apiGroups: [""]
  resources: [pods]              # addresses of the metrics endpoints
  verbs: [list]
{{- if .Values.discovery.enabled }}
- apiGroups: [apps]
  resources: [statefulsets, daemonsets]    # do unregistered inference servers run in them?
  verbs: [list]
{{- end }}
- apiGroups: [""]
  resources: [configmaps]        # a baseline that is not inline; by name
  verbs: [get]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- end }}

{{- /* What belongs to no namespace, or to one that no Model is in. */ -}}
{{- define "modelward.rightsInCluster" -}}
- apiGroups: [modelward.dev]
  resources: [lifecyclepolicies]
  verbs: [list, watch]
- apiGroups: [gateway.networking.k8s.io]
  resources: [gateways]          # mostly of another namespace
  verbs: [get]
- apiGroups: [""]
  resources: [namespaces]        # labels, for a policy's namespaceSelector
  verbs: [get]
{{- if .Values.discovery.enabled }}
- apiGroups: [""]
  resources: [namespaces]        # which of them opt in to discovery
  verbs: [list]
{{- end }}
- apiGroups: [admissionregistration.k8s.io]    # are approvals guarded, and since when?
  resources: [validatingadmissionpolicies, validatingadmissionpolicybindings]
  resourceNames: [modelward-approvals, modelward-status, modelward-evaluations]
  verbs: [get]
{{- end }}
