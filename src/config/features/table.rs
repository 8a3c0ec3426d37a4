//! The feature gates that kube-proxy 1.37 knows: it takes those of every Kubernetes component,
//! as clusters give one list to all of them.

/// Off unless asked for.
pub(super) const ALPHA: &str = "
    APIServerWebhookAuthenticationToken APIServingWithRoutine AtomicWriteVolumeUserFields
    CBORServingAndStorage CPUManagerPolicyAlphaOptions CRIListStreaming CSIVolumeHealth
    ClientsAllowCBOR ClientsPreferCBOR CloudControllerManagerWatchBasedRoutesReconciliation
    CloudControllerManagerWebhook CompositePodGroup ConsistentListFromCacheSkipTimeoutFallback
    ContainerStopSignals ControllerManagerReleaseLeaderElectionLockOnExit
    CrossNamespaceVolumeDataSource DRADerivedAttributes DRADeviceCompatibilityGroups
    DRAListTypeAttributes DRANodeAllocatableResources DRAOptionalNodeOperations
    DRAPartitionableDevicesType DRAResourcePoolStatus DefaultPodSysctls EmptyDirVolumeMode
    EventedPLEG EvictionRequestAPI GRPCContainerProbeTLS H2CContainerProbe ImageVolumeWithDigest
    InPlacePodVerticalScalingExclusiveCPUs InPlacePodVerticalScalingExclusiveMemory
    InPlacePodVerticalScalingMemoryBackedVolumes InPlacePodVerticalScalingSchedulerPreemption
    InterPodAffinityHostnameFastPath KubeProxyNFTablesLocalhostNodePorts
    KubeletAllocatedPodsEndpoint LoggingAlphaOptions MutablePVNodeAffinity
    NodeLifecycleConditions PodGroupPreemptionPolicy PodLogsQuerySplitStreams QOSReserved
    ReduceDefaultCrashLoopBackOffDecay RuntimeClassInImageCriApi SchedulerPreQueueingHints
    ShardedListAndWatch StatefulSetRecreateStrategy StorageVersionAPI
    TaintTolerationComparisonOperators TopologyAwareWorkloadScheduling
    TopologyManagerPolicyAlphaOptions UserNamespacesHostNetworkSupport VolumeBindMountOptions
    WindowsCPUAndMemoryAffinity WorkloadWithJob
";

/// On unless asked otherwise.
pub(super) const BETA_ON: &str = "
    APIResponseCompression APIServerIdentity AllowParsingUserUIDFromCertAuth
    AllowUnsafeMalformedObjectDeletion AtomicFIFO AuthorizePodWebsocketUpgradeCreatePermission
    CPUManagerPolicyBetaOptions CRDObservedGenerationTracking
    ClearingNominatedNodeNameAfterBinding ClientsAllowCARotation ClientsAllowTLSCacheGC
    ComponentFlagz ComponentStatusz ConcurrentWatchObjectDecode ConstrainedImpersonation
    ContainerCheckpoint ContainerRestartRules ContextualLogging DRAConsumableCapacity
    DRADeviceBindingConditions DRAPartitionableDevices
    DRAResourceClaimGranularStatusAuthorization DRASchedulerFilterTimeout
    DeclarativeValidationBeta DeploymentReplicaSetTerminatingReplicas DetectCacheInconsistency
    EnvFiles EtcdRangeStream ExcludeAdmissionWebhookVirtualResources ExtendWebSocketsToKubelet
    GracefulNodeShutdown GracefulNodeShutdownBasedOnPodPriority HPAGeneration
    HPAOptimizedSelectorStore HPAScaleToZero HugepageAwareEviction InOrderInformersBatchProcess
    InPlacePodLevelResourcesVerticalScaling KubeletCrashLoopBackOffMax
    KubeletEnsureSecretPulledImages KubeletInUserNamespace KubeletSeparateDiskGC
    KubeletServiceAccountTokenForCredentialProviders ListFromCacheSnapshot LoggingBetaOptions
    ManifestBasedAdmissionControlConfig MatchLabelKeysInPodTopologySpread
    MatchLabelKeysInPodTopologySpreadSelectorMerge MaxUnavailableStatefulSet MemoryQoS
    MutablePodResourcesForSuspendedJobs MutableSchedulingDirectivesForSuspendedJobs
    NFTablesNetlink NativeHistograms NodeControllerLeaseCircuitBreaker
    NominatedNodeNameForExpectation OpenAPIEnums OpportunisticBatching
    PersistentVolumeClaimUnusedSinceTime PodDeletionCost PodLevelResources
    PodLevelResourcesFixDefaulting PodLevelResourcesFixKubeletQOSClass
    PodTopologyLabelsAdmission PodsAPI PortForwardWebsockets ReloadKubeletClientCAFile
    ReloadKubeletServerCertificateFile RemoteRequestHeaderUID ResourceHealthStatus
    ResourceHealthStatusMessage RestartAllContainersOnContainerExits
    RotateKubeletServerCertificate SchedulerAsyncPreemption SchedulerPopFromBackoffQ
    ServiceAccountNodeAudienceRestriction SizeBasedListCostEstimate
    StaleControllerConsistencyDaemonSet StaleControllerConsistencyHPA
    StaleControllerConsistencyJob StaleControllerConsistencyReplicaSet
    StaleControllerConsistencyStatefulSet StatefulSetSemanticRevisionComparison
    StorageCapacityScoring StorageVersionHash StrictIPCIDRValidation
    StructuredAuthenticationConfigurationEgressSelector
    StructuredAuthenticationConfigurationJWKSMetrics TokenRequestServiceAccountUIDValidation
    TopologyManagerPolicyBetaOptions TranslateStreamCloseWebsocketRequests
    UnauthenticatedHTTP2DOSMitigation UnknownVersionInteroperabilityProxy
    UnlockWhileProcessingFIFO VolumeLimitScaling WatchList WatchListClient WatchListCompression
    WebhookRoundTripLoadBalancing WindowsGracefulNodeShutdown
";

/// Beta, and off unless asked for.
pub(super) const BETA_OFF: &str = "
    CoordinatedLeaderElection DRAFractionalCapacityRange DRAWorkloadResourceClaims
    GenericWorkload LocalStorageCapacityIsolationFSQuotaMonitoring PodAndContainerStatsFromCRI
    PodLevelResourceManagers SchedulerAsyncAPICalls
";

/// On, and nothing else is allowed.
pub(super) const LOCKED_ON: &str = "
    AggregatedDiscoveryRemoveBetaType CPUManagerPolicyOptions CRDValidationRatcheting
    CSIServiceAccountTokenSecrets CustomResourceFieldSelectors DRAAdminAccess
    DRAExtendedResource DRAPrioritizedList DRAResourceClaimDeviceStatus DeclarativeValidation
    DisableAllocatorDualWrite DisableCPUQuotaWithExclusiveCPUs DisableNodeKubeProxyVersion
    DynamicResourceAllocation ExecProbeTimeout ExternalServiceAccountTokenSigner
    HPAConfigurableTolerance HostnameOverride ImageMaximumGCAge ImageVolume InOrderInformers
    InPlacePodVerticalScaling InPlacePodVerticalScalingInitContainers JobManagedBy
    KubeletCgroupDriverFromCRI KubeletFineGrainedAuthz KubeletPSI
    KubeletPodResourcesDynamicResources KubeletPodResourcesGet KubeletTracing
    MatchLabelKeysInPodAffinity MultiCIDRServiceAllocator MutableCSINodeAllocatableCount
    NFTablesProxyMode NodeDeclaredFeatures NodeInclusionPolicyInPodTopologySpread NodeLogQuery
    NodeSwap PLEGOnDemandRelist PodObservedGenerationTracking PodReadyToStartContainersCondition
    PodSchedulingReadiness PreferSameTrafficDistribution ProcMountType
    RecoverVolumeExpansionFailure RecursiveReadOnlyMounts RelaxedEnvironmentVariableValidation
    RelaxedServiceNameValidation SELinuxChangePolicy SELinuxMountReadWriteOncePod
    SeparateTaintEvictionController ServiceAccountTokenJTI ServiceAccountTokenNodeBinding
    ServiceAccountTokenNodeBindingValidation ServiceAccountTokenPodNodeInfo
    SupplementalGroupsPolicy TopologyManagerPolicyOptions UserNamespacesSupport
    VolumeAttributesClass WatchCacheInitializationPostStartHook WinDSR WinOverlay
";

/// Off, and nothing else is allowed.
pub(super) const LOCKED_OFF: &str = "
    AllowOverwriteTerminationGracePeriodSeconds DeclarativeValidationTakeover
    GitRepoVolumeDriver SeparateCacheWatchRPC
";

/// Stable or deprecated, and on; they may still be switched off.
pub(super) const STABLE: &str = "
    AllowDNSOnlyNodeCSR AllowInsecureKubeletCertificateSigningRequests AllowServiceExternalIPs
    ChangeContainerStatusOnKubeletRestart ClusterTrustBundle ClusterTrustBundleProjection
    CustomCPUCFSQuotaPeriod DRADeviceTaintRules DRADeviceTaints InformerResourceVersion KMSv1
    KubeProxyIPVS KubeletPodResourcesListUseActivePods KubeletRegistrationGetOnExistsOnly
    MutatingAdmissionPolicy PodCertificateRequest SELinuxMount ServiceCIDRStatusFieldWiping
    StorageNamespaceIndex StorageVersionMigrator WindowsHostNetwork
";

/// A gate, and those that have to be on where it is.
pub(super) const DEPENDENCIES: &[(&str, &str)] = &[
    ("ClusterTrustBundleProjection", "ClusterTrustBundle"),
    (
        "CompositePodGroup",
        "GenericWorkload TopologyAwareWorkloadScheduling",
    ),
    ("DRADeviceCompatibilityGroups", "DRAPartitionableDevices"),
    ("DRADeviceTaintRules", "DRADeviceTaints"),
    ("DRAFractionalCapacityRange", "DRAConsumableCapacity"),
    (
        "DRAPartitionableDevicesType",
        "DRAPartitionableDevices DRAResourcePoolStatus",
    ),
    ("DRAWorkloadResourceClaims", "GenericWorkload"),
    (
        "GracefulNodeShutdownBasedOnPodPriority",
        "GracefulNodeShutdown",
    ),
    (
        "InPlacePodLevelResourcesVerticalScaling",
        "PodLevelResources",
    ),
    (
        "MatchLabelKeysInPodTopologySpreadSelectorMerge",
        "MatchLabelKeysInPodTopologySpread",
    ),
    ("NodeControllerLeaseCircuitBreaker", "AtomicFIFO"),
    ("PodGroupPreemptionPolicy", "GenericWorkload"),
    ("PodLevelResourceManagers", "PodLevelResources"),
    ("PodLevelResourcesFixDefaulting", "PodLevelResources"),
    ("PodLevelResourcesFixKubeletQOSClass", "PodLevelResources"),
    ("ResourceHealthStatusMessage", "ResourceHealthStatus"),
    (
        "RestartAllContainersOnContainerExits",
        "ContainerRestartRules",
    ),
    ("StaleControllerConsistencyDaemonSet", "AtomicFIFO"),
    ("StaleControllerConsistencyHPA", "AtomicFIFO"),
    ("StaleControllerConsistencyJob", "AtomicFIFO"),
    ("StaleControllerConsistencyReplicaSet", "AtomicFIFO"),
    ("StaleControllerConsistencyStatefulSet", "AtomicFIFO"),
    ("StorageVersionAPI", "APIServerIdentity"),
    ("TopologyAwareWorkloadScheduling", "GenericWorkload"),
    ("UnknownVersionInteroperabilityProxy", "APIServerIdentity"),
    ("WindowsGracefulNodeShutdown", "GracefulNodeShutdown"),
    ("WorkloadWithJob", "GenericWorkload"),
];
