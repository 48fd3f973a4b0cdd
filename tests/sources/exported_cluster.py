"""What `kubectl get svc,pods,endpointslices -o yaml` says of a cluster.

It has a Service with a selector, its Pod and slice, and a Service without a selector with a slice that somebody wrote.
"""

EXPORTED = """
apiVersion: v1
items:
- apiVersion: v1
  kind: Service
  metadata:
    annotations: {note: x}
    creationTimestamp: "2026-01-02T03:04:05Z"
    labels: {app: web}
    name: web
    namespace: shop
    resourceVersion: "812"
    uid: 6d0c2f5e-0c1e-4a51-9c0e-2a3f6f6f0001
  spec:
    clusterIP: 127.96.7.1
    clusterIPs: [127.96.7.1]
    internalTrafficPolicy: Cluster
    ipFamilies: [IPv4]
    ipFamilyPolicy: SingleStack
    ports:
    - {name: http, port: 80, protocol: TCP, targetPort: http}
    selector: {app: web}
    sessionAffinity: None
    type: ClusterIP
  status:
    loadBalancer: {}
- apiVersion: v1
  kind: Service
  metadata: {name: outside, namespace: shop, resourceVersion: "813", uid: 6d0c2f5e-0c1e-4a51-9c0e-2a3f6f6f0002}
  spec:
    clusterIP: 127.96.7.2
    clusterIPs: [127.96.7.2]
    internalTrafficPolicy: Cluster
    ipFamilies: [IPv4]
    ipFamilyPolicy: SingleStack
    ports: [{port: 80, protocol: TCP, targetPort: 80}]
    sessionAffinity: None
    type: ClusterIP
  status: {loadBalancer: {}}
- apiVersion: v1
  kind: Pod
  metadata:
    creationTimestamp: "2026-01-02T03:04:05Z"
    generateName: web-75675f5897-
    labels: {app: web, pod-template-hash: 75675f5897}
    name: web-75675f5897-7ci7o
    namespace: shop
    ownerReferences:
    - {apiVersion: apps/v1, blockOwnerDeletion: true, controller: true, kind: ReplicaSet, name: web-75675f5897, uid: u}
    resourceVersion: "900"
    uid: 6d0c2f5e-0c1e-4a51-9c0e-2a3f6f6f0003
  spec:
    containers:
    - image: nginx
      imagePullPolicy: Always
      name: c
      ports: [{containerPort: 8080, name: http, protocol: TCP}]
      resources: {requests: {cpu: 100m}}
      volumeMounts: [{mountPath: /var/run/secrets, name: token, readOnly: true}]
    dnsPolicy: ClusterFirst
    nodeName: node-1
    restartPolicy: Always
    tolerations: [{effect: NoExecute, key: node.kubernetes.io/not-ready, operator: Exists, tolerationSeconds: 300}]
    volumes: [{name: token, projected: {defaultMode: 420, sources: [{serviceAccountToken: {path: token}}]}}]
  status:
    conditions:
    - {lastProbeTime: null, lastTransitionTime: "2026-01-02T03:04:06Z", status: "True", type: Ready}
    containerStatuses: [{image: nginx, name: c, ready: true, restartCount: 0, state: {running: {startedAt: x}}}]
    hostIP: 192.0.2.1
    phase: Running
    podIP: 127.0.77.1
    podIPs: [{ip: 127.0.77.1}]
- addressType: IPv4
  apiVersion: discovery.k8s.io/v1
  endpoints:
  - addresses: [10.1.2.3]
    conditions: {ready: true, serving: true, terminating: false}
    nodeName: node-1
    targetRef: {kind: Pod, name: web-75675f5897-7ci7o, namespace: shop, uid: 6d0c2f5e-0c1e-4a51-9c0e-2a3f6f6f0003}
  kind: EndpointSlice
  metadata:
    annotations: {endpoints.kubernetes.io/last-change-trigger-time: "2026-01-02T03:04:06Z"}
    generateName: web-
    generation: 3
    labels:
      endpointslice.kubernetes.io/managed-by: endpointslice-controller.k8s.io
      kubernetes.io/service-name: web
    name: web-x7k2p
    namespace: shop
    ownerReferences: [{apiVersion: v1, controller: true, kind: Service, name: web, uid: u}]
    resourceVersion: "901"
    uid: 6d0c2f5e-0c1e-4a51-9c0e-2a3f6f6f0004
  ports: [{name: http, port: 8080, protocol: TCP}]
- addressType: IPv4
  apiVersion: discovery.k8s.io/v1
  endpoints: [{addresses: [127.0.77.2], conditions: {}}]
  kind: EndpointSlice
  metadata:
    labels: {kubernetes.io/service-name: outside}
    name: outside-1
    namespace: shop
    resourceVersion: "902"
    uid: 6d0c2f5e-0c1e-4a51-9c0e-2a3f6f6f0005
  ports: [{name: "", port: 80, protocol: TCP}]
kind: List
metadata:
  resourceVersion: ""
"""

LEFT_OUT = "EndpointSlice shop/web-x7k2p is left out: made by the endpoint controllers of another cluster"
