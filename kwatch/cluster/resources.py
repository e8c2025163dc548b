"""The types Kubernetes itself serves, and how a word on the command line finds one, as in kubectl.

The table is the discovery of a v1.36 API server: what can be watched, in the server's order, preferred versions first.
Pure: a list of types in, a type out; `discovery` makes the same list of a live server's answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kwatch.errors import NotFound
from kwatch.model import Resource
from kwatch.text import brief

# Plural, kind, scope (n: namespaced, c: cluster), short names, categories (-: none), and the release that first served
# this version of it, where one that is still in use may not. The singular is the kind in lower case.
_TABLE = """
v1:
  configmaps                        ConfigMap                        n cm       -
  endpoints                         Endpoints                        n ep       -
  events                            Event                            n ev       -
  limitranges                       LimitRange                       n limits   -
  namespaces                        Namespace                        c ns       -
  nodes                             Node                             c no       -
  persistentvolumeclaims            PersistentVolumeClaim            n pvc      -
  persistentvolumes                 PersistentVolume                 c pv       -
  pods                              Pod                              n po       all
  podtemplates                      PodTemplate                      n -        -
  replicationcontrollers            ReplicationController            n rc       all
  resourcequotas                    ResourceQuota                    n quota    -
  secrets                           Secret                           n -        -
  serviceaccounts                   ServiceAccount                   n sa       -
  services                          Service                          n svc      all
apiregistration.k8s.io/v1:
  apiservices                       APIService                       c -        api-extensions
apps/v1:
  controllerrevisions               ControllerRevision               n -        -
  daemonsets                        DaemonSet                        n ds       all
  deployments                       Deployment                       n deploy   all
  replicasets                       ReplicaSet                       n rs       all
  statefulsets                      StatefulSet                      n sts      all
events.k8s.io/v1:
  events                            Event                            n ev       -
autoscaling/v2:
  horizontalpodautoscalers          HorizontalPodAutoscaler          n hpa      all
autoscaling/v1:
  horizontalpodautoscalers          HorizontalPodAutoscaler          n hpa      all
batch/v1:
  cronjobs                          CronJob                          n cj       all
  jobs                              Job                              n -        all
certificates.k8s.io/v1:
  certificatesigningrequests        CertificateSigningRequest        c csr      -
networking.k8s.io/v1:
  ingressclasses                    IngressClass                     c -        -
  ingresses                         Ingress                          n ing      -
  ipaddresses                       IPAddress                        c ip       -              1.33
  networkpolicies                   NetworkPolicy                    n netpol   -
  servicecidrs                      ServiceCIDR                      c -        -              1.33
policy/v1:
  poddisruptionbudgets              PodDisruptionBudget              n pdb      -
rbac.authorization.k8s.io/v1:
  clusterrolebindings               ClusterRoleBinding               c -        -
  clusterroles                      ClusterRole                      c -        -
  rolebindings                      RoleBinding                      n -        -
  roles                             Role                             n -        -
storage.k8s.io/v1:
  csidrivers                        CSIDriver                        c -        -
  csinodes                          CSINode                          c -        -
  csistoragecapacities              CSIStorageCapacity               n -        -
  storageclasses                    StorageClass                     c sc       -
  volumeattachments                 VolumeAttachment                 c -        -
  volumeattributesclasses           VolumeAttributesClass            c vac      -              1.34
admissionregistration.k8s.io/v1:
  mutatingadmissionpolicies         MutatingAdmissionPolicy          c -        api-extensions 1.36
  mutatingadmissionpolicybindings   MutatingAdmissionPolicyBinding   c -        api-extensions 1.36
  mutatingwebhookconfigurations     MutatingWebhookConfiguration     c -        api-extensions
  validatingadmissionpolicies       ValidatingAdmissionPolicy        c -        api-extensions 1.30
  validatingadmissionpolicybindings ValidatingAdmissionPolicyBinding c -        api-extensions 1.30
  validatingwebhookconfigurations   ValidatingWebhookConfiguration   c -        api-extensions
apiextensions.k8s.io/v1:
  customresourcedefinitions         CustomResourceDefinition         c crd,crds api-extensions
scheduling.k8s.io/v1:
  priorityclasses                   PriorityClass                    c pc       -
coordination.k8s.io/v1:
  leases                            Lease                            n -        -
node.k8s.io/v1:
  runtimeclasses                    RuntimeClass                     c -        -
discovery.k8s.io/v1:
  endpointslices                    EndpointSlice                    n -        -
resource.k8s.io/v1:
  deviceclasses                     DeviceClass                      c -        -              1.34
  resourceclaims                    ResourceClaim                    n -        -              1.34
  resourceclaimtemplates            ResourceClaimTemplate            n -        -              1.34
  resourceslices                    ResourceSlice                    c -        -              1.34
flowcontrol.apiserver.k8s.io/v1:
  flowschemas                       FlowSchema                       c -        -              1.29
  prioritylevelconfigurations       PriorityLevelConfiguration       c -        -              1.29
"""


def _rows(table: str) -> Iterator[tuple[Resource, str]]:
    """Each type, and the release that first served it ("": any that is in use)."""
    group = version = ""
    for line in table.strip().splitlines():
        if line.endswith(":"):
            group, _, version = line[:-1].rpartition("/")
            continue
        plural, kind, scope, short, categories, *since = line.split()
        named = Resource(group, version, plural, kind, scope == "n", kind.lower(), _names(short), _names(categories))
        yield named, "".join(since)


def _names(column: str) -> tuple[str, ...]:
    return () if column == "-" else tuple(column.split(","))


_ROWS = tuple(_rows(_TABLE))

BUILT_IN: tuple[Resource, ...] = tuple(resource for resource, _ in _ROWS)
"""Every type of Kubernetes 1.36 that can be watched."""

SETTLED: tuple[Resource, ...] = tuple(resource for resource, since in _ROWS if not since)
"""Those that any cluster since 1.25 serves in this version: no need to ask it."""


def find(name: str, resources: Iterable[Resource], *, group_prefix: bool = True) -> Resource | None:
    """The type that `name` means, None for none: plural, singular, short name or kind, in any case, alone or followed
    by `.GROUP` or `.VERSION.GROUP`, both of which may be empty (`pods.`, `pods.v1.`).

    As kubectl resolves it (`resource.Builder.mappingFor`): version and group before group alone; plural and singular
    before short name before kind; the core group before the others, which stand in the order of `resources`. A group
    may be cut short (`storageclass.storage`) unless `group_prefix` is False.
    """
    ordered = _core_first(resources)
    for word, version, group in _readings(name.lower()):
        exact = [resource for resource in ordered if _fits(resource, version, group)]
        found = _named(word, exact)
        if found is None and group_prefix and group:
            found = _named(word, [resource for resource in ordered if _begins(resource, version, group)])
        if found is not None:
            return found
    return None


def _readings(name: str) -> list[tuple[str, str, str]]:
    """(word, version, group) in the order to try them; "" is any. `a.b.c` is version b of group c, or group b.c."""
    word, _, group = name.partition(".")
    version, dot, rest = group.partition(".")
    return [(word, version, rest), (word, "", group)] if dot else [(word, "", group)]


def _fits(resource: Resource, version: str, group: str) -> bool:
    return version in ("", resource.version) and group in ("", resource.group)


def _begins(resource: Resource, version: str, group: str) -> bool:
    return version in ("", resource.version) and resource.group.startswith(group)


def _named(word: str, resources: list[Resource]) -> Resource | None:
    ways = (
        lambda resource: word in (resource.plural, resource.singular),
        lambda resource: word in resource.short_names,
        lambda resource: word == resource.kind.lower(),
    )
    hits = (resource for matches in ways for resource in resources if word and matches(resource))
    return next(hits, None)


def category(name: str, resources: Iterable[Resource]) -> list[Resource]:
    """The types of a category (`all`), each in its preferred version, the core group first; empty for no category."""
    word = name.lower()
    return preferred(resource for resource in _core_first(resources) if word in map(str.lower, resource.categories))


def preferred(resources: Iterable[Resource]) -> list[Resource]:
    """Each type once, in the version that comes first."""
    first: dict[tuple[str, str], Resource] = {}
    for resource in resources:
        first.setdefault((resource.group, resource.plural), resource)
    return list(first.values())


def rivals(name: str, found: Resource, resources: Iterable[Resource]) -> list[Resource]:
    """The types that the short name `name`, which means `found`, could also mean; kubectl warns of them."""
    word = name.lower()
    if word in (found.plural, found.singular):
        return []
    return [other for other in preferred(resources) if word in other.short_names and not _same_type(other, found)]


def _same_type(one: Resource, other: Resource) -> bool:
    return (one.group, one.plural) == (other.group, other.plural)


def _core_first(resources: Iterable[Resource]) -> list[Resource]:
    return sorted(resources, key=lambda resource: resource.group != "")


_ALIKE = 0.7
"""How like another a word has to be, from 0 to 1, to be taken for it: `pdos` for pods, but not `podss` for nodes."""


def nearest(name: str, resources: Iterable[Resource]) -> list[str]:
    """Up to three types whose plural, singular or short name is like `name`, nearest first, as one could type them;
    categories too."""
    from difflib import get_close_matches  # needed for an error alone

    spelled = _spellings(_core_first(resources))
    word = name.lower().partition(".")[0]
    close = [spelled[match] for match in get_close_matches(word, spelled, n=9, cutoff=_ALIKE)]
    return list(dict.fromkeys(close))[:3]


def _spellings(resources: list[Resource]) -> dict[str, str]:
    """Each word for a type, and what to type for it: the plural, with the group where the plural means another type."""
    owners: dict[str, str] = {}
    spelled: dict[str, str] = {}
    for resource in resources:
        is_owner = owners.setdefault(resource.plural, resource.group) == resource.group
        long_enough = (short for short in resource.short_names if len(short) > 2)  # `pv` is near to everything
        for word in (resource.plural, resource.singular, *long_enough):
            spelled.setdefault(word, resource.plural if is_owner else resource.qualified)
    for name in {name for resource in resources for name in resource.categories}:
        spelled.setdefault(name, name)
    return spelled


def unknown(name: str, resources: Iterable[Resource], note: str = "") -> NotFound:
    """kubectl's error for a type that isn't there, with the nearest names or where they all are; then `note`."""
    near = nearest(name, resources)
    hint = f"; did you mean {', '.join(near)}?" if near else "" if note else "; see `kwatch resources`"
    text = f'the server doesn\'t have a resource type "{brief(name)}"{hint}{note}'
    return NotFound(text, code=404, reason="NotFound")
